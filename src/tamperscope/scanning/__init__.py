"""Scan many images: list folders and object stores, analyse here or on a cluster, and write one table.

    with Journal.open(path, about=examination.identity(bundle)) as journal:
        async with LocalPool(partial(open_examiner, bundle.path, examination), workers=2) as pool:
            await scan(find(["photos"]), pool, journal)
        write_results(journal.rows(), Path("results.parquet"))

Import the names from their modules. This package imports none of them, because some are slow to import.
"""
