"""Every exception that this package raises on purpose.

    TamperscopeError
    ├── ImageError                  an image we were given cannot be analysed
    │   ├── EmptyImageError         the file has no bytes
    │   ├── ImageTooLargeError      more bytes or more pixels than the limits allow
    │   ├── UnsupportedImageError   not in a supported image format
    │   ├── DamagedImageError       the format is known, the content is broken
    │   ├── ImageTooSmallError      too few pixels to analyse
    │   └── AnalysisTimeoutError    its analysis takes longer than allowed
    ├── BundleError                 a bundle is missing, incomplete, altered or of another schema
    ├── CheckpointError             a checkpoint cannot become a bundle
    │   ├── UnsafeCheckpointError   reading it would run code stored in it
    │   └── MismatchedCheckpointError   it holds a different network than expected
    ├── DatasetError                a dataset folder or one of its masks is invalid
    ├── PhotosError                 a folder has no photos that forgeries can be made from
    ├── ScanError                   a scan's sources, journal, results or cluster cannot be used
    ├── UnreadableError             a file found by a scan cannot be read
    ├── SettingsError               a setting has an invalid value
    ├── TrainingError               training has no data, too little memory or nowhere to write
    ├── MissingExtraError           an optional dependency is needed but not installed
    ├── TunnelError                 the public address could not be opened
    ├── BusyError                   the queue in front of inference is full
    ├── NotReadyError               the server is still loading its model
    ├── StoppingError               the server is shutting down
    ├── TemporaryFolderError        the folder of unfinished uploads is full
    ├── StoreError                  the database of analyses cannot be used
    │   └── DatabaseFullError       its disk is full
    ├── QuotaError                  its owner's stored analyses take all the space allowed
    ├── JobError                    a job cannot be accepted
    │   ├── EmptyJobError           it has no images
    │   ├── JobTooLargeError        it has more images or bytes than the limits allow
    │   ├── ArchiveError            its zip archive cannot be read
    │   ├── TooManyJobsError        its owner has reached the limit of unfinished jobs
    │   ├── ReusedKeyError          its idempotency key belongs to a different job
    │   └── WebhookError            its webhook cannot be called
    ├── UnreachableError            a client cannot reach its server
    └── RefusedError                a server refused what a client asked for

Every message is one or two sentences for the person who can act on it. None contains a path that the person
did not give, and none contains a stack trace.
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
    """The bytes are not in a supported image format."""


class DamagedImageError(ImageError):
    """The format is known but the content is truncated or broken."""


class ImageTooSmallError(ImageError):
    """The image has too few pixels to be analysed."""


class AnalysisTimeoutError(ImageError):
    """The analysis of the image takes longer than allowed."""


class BundleError(TamperscopeError):
    """A bundle is missing, incomplete, altered or of another schema."""


class CheckpointError(TamperscopeError):
    """A checkpoint cannot be turned into a bundle."""


class UnsafeCheckpointError(CheckpointError):
    """Reading the checkpoint would run code that is stored in it."""


class MismatchedCheckpointError(CheckpointError):
    """The checkpoint holds a different network than expected."""


class DatasetError(TamperscopeError):
    """A dataset folder or one of its masks is invalid."""


class PhotosError(TamperscopeError):
    """A folder has no photos that forgeries can be made from: none at all, or none large enough."""


class ScanError(TamperscopeError):
    """A scan's sources, journal, results or cluster cannot be used."""


class UnreadableError(TamperscopeError):
    """A file found by a scan cannot be read."""


class SettingsError(TamperscopeError):
    """A setting has an invalid value."""


class TrainingError(TamperscopeError):
    """Training has no data, too little memory or nowhere to write."""


class MissingExtraError(TamperscopeError):
    """An optional dependency is needed but not installed."""


class TunnelError(TamperscopeError):
    """The tunnel to a public address could not be opened."""


class BusyError(TamperscopeError):
    """The queue in front of inference is full; try again later."""


class NotReadyError(TamperscopeError):
    """The server is still loading its model."""


class StoppingError(TamperscopeError):
    """The server is shutting down and cannot finish the analysis."""


class TemporaryFolderError(TamperscopeError):
    """The temporary folder, which holds unfinished uploads, is full or cannot be written."""


class StoreError(TamperscopeError):
    """The database cannot be used, or was written by a newer version."""


class DatabaseFullError(StoreError):
    """The disk of the database is full."""


class QuotaError(TamperscopeError):
    """An analysis cannot be stored, because those of its owner take all the space allowed."""


class JobError(TamperscopeError):
    """A job cannot be accepted."""


class EmptyJobError(JobError):
    """The job has no images."""


class JobTooLargeError(JobError):
    """The job has more images or more bytes than the limits allow."""


class ArchiveError(JobError):
    """The job's zip archive cannot be read."""


class TooManyJobsError(JobError):
    """The owner of the job has reached the limit of unfinished jobs."""


class ReusedKeyError(JobError):
    """The idempotency key of the job belongs to a job with other content."""


class WebhookError(JobError):
    """The webhook of the job cannot be called."""


class UnreachableError(TamperscopeError):
    """A client cannot reach its server, or the address answers as something else."""


class RefusedError(TamperscopeError):
    """A server refused a request; the message is the server's."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        """HTTP status of the refusal."""
