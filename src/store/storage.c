/* What holds the data of a dataset, looked at before HDF5 reads it; see sources.h. Nothing here may ask for
 * the shape of a virtual dataset before its sources were looked at: HDF5 opens them to tell. */
#include "store/sources.h"

#include "base/alloc.h"
#include "store/virtual.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

enum { FILTER_NAME = 64, LINK_TEXT = 400 };

/* Filters that files of this field are met with, by their registered numbers: a file need not have the name.
 */
static const struct {
    int number;
    const char *name;
} filters[] = {
    {H5Z_FILTER_SZIP, "szip"}, {305, "LZO"},   {307, "bzip2"},        {32000, "LZF"},
    {32001, "Blosc"},          {32004, "LZ4"}, {32008, "bitshuffle"}, {32013, "ZFP"},
    {32015, "Zstandard"},      {32017, "SZ"},  {32019, "FCIDECOMP"},  {32024, "SZ3"},
    {32026, "Blosc2"},
};

static const char *filter_name(int number, const char *recorded)
{
    if (recorded[0] != '\0')
        return recorded;
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (filters[i].number == number)
            return filters[i].name;
    return "without a name";
}

static trm_status check_filters(const trm_search *search, hid_t creation, const char *name, trm_error *err)
{
    for (int i = 0; i < H5Pget_nfilters(creation); i++) {
        unsigned flags = 0, config = 0;
        size_t values = 0;
        char recorded[FILTER_NAME] = {0};
        const H5Z_filter_t filter = H5Pget_filter2(creation, (unsigned)i, &flags, &values, NULL,
                                                   sizeof recorded - 1, recorded, &config);
        if (H5Zfilter_avail(filter) > 0)
            continue;
        char where[TRM_SEARCH_WHERE];
        const char *path = getenv("HDF5_PLUGIN_PATH");
        return trm_fail(
            err, TRM_ERR_DATA,
            "%s '%s': dataset '%s'%s is packed with the filter %d (%s), which this HDF5 does not have: "
            "install the filter's plugin for HDF5 and set HDF5_PLUGIN_PATH to its folder (it is %s)",
            search->about->kind, search->about->path, name, trm_search_where(search, where), (int)filter,
            filter_name((int)filter, recorded), path == NULL ? "not set" : path);
    }
    return TRM_OK;
}

/* Does a dataset in one piece have a piece as long as its shape? It is read as plain bytes. */
static trm_status check_piece(const trm_search *search, hid_t dataset, const char *name, trm_error *err)
{
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    const hssize_t values = H5Sget_simple_extent_npoints(space);
    const size_t size = H5Tget_size(type);
    const bool holds = H5Dget_offset(dataset) == HADDR_UNDEF ||
                       (values >= 0 && size > 0 && H5Dget_storage_size(dataset) / size >= (hsize_t)values);
    trm_h5_close(type);
    trm_h5_close(space);
    char where[TRM_SEARCH_WHERE];
    if (holds)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s'%s is damaged: shorter than its shape",
                    search->about->kind, search->about->path, name, trm_search_where(search, where));
}

/* Bytes of all values; -1 where that can't be counted. */
static int64_t data_bytes(hid_t dataset)
{
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    const hssize_t values = H5Sget_simple_extent_npoints(space);
    int64_t bytes = -1;
    if (values < 0 || __builtin_mul_overflow((int64_t)values, (int64_t)H5Tget_size(type), &bytes))
        bytes = -1;
    trm_h5_close(type);
    trm_h5_close(space);
    return bytes;
}

/* Files of plain bytes, one after the other. HDF5 reads zeros where they are too short. */
static trm_status check_external(const trm_search *search, hid_t dataset, hid_t creation, const char *name,
                                 trm_error *err)
{
    enum { NAME_MOST = 4096 };
    int64_t left = data_bytes(dataset);
    trm_status status = TRM_OK;
    char *file = trm_alloc_zero(NAME_MOST, 1);
    if (file == NULL)
        return trm_fail_memory(err, "a file name", NAME_MOST, 1);
    for (int i = 0; i < H5Pget_external_count(creation) && left > 0 && status == TRM_OK; i++) {
        char link[LINK_TEXT], where[TRM_SEARCH_WHERE];
        off_t offset = 0;
        hsize_t size = 0;
        H5Pget_external(creation, (unsigned)i, NAME_MOST - 1, file, &offset, &size);
        const int64_t use = size < (hsize_t)left ? (int64_t)size : left; /* H5F_UNLIMITED is the largest */
        char *path = trm_search_prefixed(search, file, getenv("HDF5_EXTFILE_PREFIX"));
        snprintf(link, sizeof link,
                 "dataset '%s'%s keeps its data in '%s' (HDF5_EXTFILE_PREFIX names the folder)", name,
                 trm_search_where(search, where), file);
        status = path == NULL ? trm_fail_memory(err, "a file name", NAME_MOST, 1)
                              : trm_search_plain(search, path, link, (int64_t)offset + use, err);
        trm_free(path);
        left -= use;
    }
    if (status == TRM_OK && left != 0)
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' keeps its data in files that are too few",
                          search->about->kind, search->about->path, name);
    trm_free(file);
    return status;
}

trm_status trm_search_storage(const trm_search *search, hid_t dataset, const char *name, trm_error *err)
{
    trm_status status = TRM_OK;
    hid_t creation = H5Dget_create_plist(dataset);
    if (creation < 0)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': dataset '%s' does not tell how it is stored: it is damaged",
                        search->about->kind, search->about->path, name);
    if (H5Pget_layout(creation) == H5D_VIRTUAL)
        status = trm_virtual_check(search, dataset, creation, name, err);
    else if (H5Pget_external_count(creation) > 0)
        status = check_external(search, dataset, creation, name, err);
    else
        status = check_piece(search, dataset, name, err);
    if (status == TRM_OK)
        status = check_filters(search, creation, name, err);
    trm_h5_close(creation);
    return status;
}
