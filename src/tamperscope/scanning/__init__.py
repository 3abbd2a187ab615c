"""Many images: found in folders and object stores, analysed here or on a cluster, written as one table.

    with Journal.open(path, about=examination.identity(bundle)) as journal:
        async with LocalPool(partial(open_examiner, bundle.path, examination), workers=2) as pool:
            await scan(find(["photos"]), pool, journal)
        write_results(journal.rows(), Path("results.parquet"))

What takes long to import is imported from the modules themselves.
"""
