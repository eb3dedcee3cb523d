/* The shared HDF5 calls; see h5.h. */
#include "store/h5.h"

#include <stdio.h>

trm_h5_handler trm_h5_silence(void)
{
    trm_h5_handler handler = {NULL, NULL};
    H5Eget_auto2(H5E_DEFAULT, &handler.function, &handler.data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return handler;
}

void trm_h5_restore(trm_h5_handler handler)
{
    H5Eset_auto2(H5E_DEFAULT, handler.function, handler.data);
}

typedef struct reason {
    char *text;
    size_t size;
} reason;

static herr_t keep_description(unsigned n, const H5E_error2_t *entry, void *context)
{
    reason *kept = context;
    if (n == 0 && entry->desc != NULL)
        snprintf(kept->text, kept->size, "%s", entry->desc);
    return 0;
}

static void keep_reason(char *text, size_t size)
{
    reason kept = {text, size};
    text[0] = '\0';
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_description, &kept);
}

hid_t trm_h5_open_serial(const char *path, char *why, size_t size)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(access, 0, 1);
#endif
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file < 0)
        keep_reason(why, size); /* before the next call clears the stack */
    trm_h5_close(access);
    return file;
}

hid_t trm_h5_open_parallel(MPI_Comm comm, const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_fapl_mpio(access, comm, MPI_INFO_NULL);
    H5Pset_all_coll_metadata_ops(access, 1);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    trm_h5_close(access);
    return file;
}

void trm_h5_close(hid_t handle)
{
    if (handle >= 0)
        H5Idec_ref(handle);
}

hid_t trm_h5_collective(void)
{
    hid_t transfer = H5Pcreate(H5P_DATASET_XFER);
    if (transfer >= 0)
        H5Pset_dxpl_mpio(transfer, H5FD_MPIO_COLLECTIVE);
    return transfer;
}

hid_t trm_h5_select_rows(hid_t file_space, int64_t first, int64_t count, int64_t width)
{
    int rank = H5Sget_simple_extent_ndims(file_space);
    hsize_t start[2] = {(hsize_t)first, 0};
    hsize_t size[2] = {(hsize_t)(count > 0 ? count : 1), (hsize_t)width};
    hid_t memory = H5Screate_simple(rank, size, NULL);
    if (memory < 0)
        return memory;
    herr_t result = count == 0 ? (H5Sselect_none(memory) < 0 ? -1 : H5Sselect_none(file_space))
                               : H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, size, NULL);
    if (result < 0) {
        trm_h5_close(memory);
        return -1;
    }
    return memory;
}
