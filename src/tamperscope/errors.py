"""Every exception this package raises on purpose.

    TamperscopeError
    ├── ImageError                  an image we were given cannot be analysed
    │   ├── EmptyImageError         there are no bytes
    │   ├── ImageTooLargeError      more bytes or more pixels than the limits allow
    │   ├── UnsupportedImageError   not an image format we read
    │   ├── DamagedImageError       the format is known, the content is broken
    │   └── ImageTooSmallError      too few pixels to say anything
    ├── BundleError                 a bundle is missing, incomplete, altered or of another version
    ├── CheckpointError             a checkpoint cannot become a bundle
    │   ├── UnsafeCheckpointError   reading it would run code stored in it
    │   └── MismatchedCheckpointError   it holds another network than expected
    ├── DatasetError                a dataset's folder, or a mask in it, is not what it should be
    ├── PhotosError                 a folder of photos cannot be forged from
    ├── ScanError                   a scan's sources, journal, results or cluster cannot be used
    ├── UnreadableError             a file that a scan came upon cannot be read
    ├── SettingsError               a setting has a value that cannot be used
    ├── TrainingError               training has no data, too little memory or nowhere to write
    ├── MissingExtraError           an optional dependency is needed and not installed
    ├── TunnelError                 the public address could not be opened
    ├── BusyError                   the queue in front of inference is full
    ├── NotReadyError               the server has not loaded its model yet
    ├── StoreError                  the database of analyses cannot be used
    ├── JobError                    a job cannot be taken
    │   ├── EmptyJobError           it has no images
    │   ├── JobTooLargeError        it has more images or bytes than the limits allow
    │   ├── ArchiveError            its zip archive cannot be read
    │   ├── TooManyJobsError        its owner has as many unfinished ones as the limits allow
    │   ├── ReusedKeyError          its idempotency key belongs to a job that is another one
    │   └── WebhookError            its webhook cannot be called
    ├── UnreachableError            a client cannot reach its server
    └── RefusedError                a server refused what a client asked for

Every message is one or two sentences for the person who can act on it. None holds a path the person did
not give, and none holds a stack trace.
"""


class TamperscopeError(Exception):
    """The root of all errors that this package raises on purpose."""


class ImageError(TamperscopeError):
    """An image cannot be analysed."""


class EmptyImageError(ImageError):
    """The image has no bytes."""


class ImageTooLargeError(ImageError):
    """The image has more bytes or more pixels than the limits allow."""


class UnsupportedImageError(ImageError):
    """The bytes are not in an image format that this package reads."""


class DamagedImageError(ImageError):
    """The format is known but the content is truncated or broken."""


class ImageTooSmallError(ImageError):
    """The image has too few pixels to be analysed."""


class BundleError(TamperscopeError):
    """A bundle is missing, incomplete, altered or of another version."""


class CheckpointError(TamperscopeError):
    """A checkpoint cannot be turned into a bundle."""


class UnsafeCheckpointError(CheckpointError):
    """Reading the checkpoint would run code that is stored in it."""


class MismatchedCheckpointError(CheckpointError):
    """The checkpoint holds another network than the expected one."""


class DatasetError(TamperscopeError):
    """A dataset's folder, or a mask in it, is not what it should be."""


class PhotosError(TamperscopeError):
    """There are no photos to make forgeries from, or none that is large enough."""


class ScanError(TamperscopeError):
    """A scan's sources, journal, results or cluster cannot be used."""


class UnreadableError(TamperscopeError):
    """A file that a scan came upon cannot be read."""


class SettingsError(TamperscopeError):
    """A setting has a value that cannot be used."""


class TrainingError(TamperscopeError):
    """Training has no data, too little memory or nowhere to write."""


class MissingExtraError(TamperscopeError):
    """An optional dependency is needed and not installed."""


class TunnelError(TamperscopeError):
    """The tunnel to a public address could not be opened."""


class BusyError(TamperscopeError):
    """The queue in front of inference is full; try again later."""


class NotReadyError(TamperscopeError):
    """The server has not loaded its model yet."""


class StoreError(TamperscopeError):
    """The database of analyses cannot be used, or was written by a newer version."""


class JobError(TamperscopeError):
    """A job cannot be taken."""


class EmptyJobError(JobError):
    """The job has no images."""


class JobTooLargeError(JobError):
    """The job has more images or more bytes than the limits allow."""


class ArchiveError(JobError):
    """The job's zip archive cannot be read."""


class TooManyJobsError(JobError):
    """The owner of the job has as many unfinished ones as the limits allow."""


class ReusedKeyError(JobError):
    """The idempotency key of the job belongs to one that asked for something else."""


class WebhookError(JobError):
    """The webhook of the job cannot be called."""


class UnreachableError(TamperscopeError):
    """A client cannot reach its server, or what answers there is none."""


class RefusedError(TamperscopeError):
    """A server refused what a client asked for; the message is the server's."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        """HTTP status of the refusal."""
