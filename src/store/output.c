/* Output files; see output.h for what is promised and why. */
#include "store/output.h"

#include "base/alloc.h"
#include "par/agree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { MAX_TEXT = 60000 }; /* an attribute of 64 KiB or more fails in this format */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

char *trm_output_folder(const char *path)
{
    int length = (int)(base_name(path) - path);
    if (length == 0)
        return trm_format(".");
    return trm_format("%.*s", length > 1 ? length - 1 : 1, path);
}

char *trm_output_beside(const char *path, const char *what)
{
    const char *name = base_name(path);
    return trm_format("%.*s.%s.trimine-%s", (int)(name - path), path, name, what);
}

static int rank_of(MPI_Comm comm)
{
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    return rank;
}

static trm_status check_room(const char *path, int64_t bytes, trm_error *err)
{
    char *folder = trm_output_folder(path);
    struct statvfs about;
    trm_status status = TRM_OK;
    if (folder == NULL)
        status = trm_fail_memory(err, "a file name", (int64_t)strlen(path), 1);
    else if (statvfs(folder, &about) == 0) {
        double available = (double)about.f_bavail * (double)about.f_frsize;
        if (available < (double)bytes)
            status = trm_fail(err, TRM_ERR_IO, "output '%s': needs %" PRId64 " bytes, '%s' has %.0f free",
                              path, bytes, folder, available);
    }
    trm_free(folder);
    return status;
}

trm_status trm_output_room(MPI_Comm comm, const char *path, int64_t bytes, trm_error *err)
{
    return trm_agree(comm, rank_of(comm) == 0 ? check_room(path, bytes, err) : TRM_OK, err);
}

static hid_t create_file(MPI_Comm comm, const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_fapl_mpio(access, comm, MPI_INFO_NULL);
    H5Pset_all_coll_metadata_ops(access, 1);
    H5Pset_coll_metadata_write(access, 1);
    H5Pset_obj_track_times(creation, 0);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    trm_h5_close(creation);
    trm_h5_close(access);
    return file;
}

/* The metadata of a result is a few KiB; this much more must fit too. */
static const int64_t metadata_bytes = INT64_C(1) << 18;

trm_status trm_output_create(MPI_Comm comm, const char *path, int64_t bytes, trm_output *out, trm_error *err)
{
    *out = (trm_output)TRM_OUTPUT_INIT;
    out->comm = comm;
    trm_status status = trm_output_room(comm, path, bytes + metadata_bytes, err);
    if (status != TRM_OK)
        return status;
    out->target = trm_format("%s", path);
    out->temporary = trm_output_beside(path, "tmp");
    if (out->target == NULL || out->temporary == NULL)
        status = trm_fail_memory(err, "a file name", (int64_t)strlen(path), 1);
    if (status == TRM_OK && rank_of(comm) == 0 && unlink(out->temporary) != 0 && errno != ENOENT)
        status = trm_fail(err, TRM_ERR_CREATE, "output '%s': can't replace '%s': %s", path, out->temporary,
                          strerror(errno));
    status = trm_agree(comm, status, err);
    if (status == TRM_OK) {
        out->file = create_file(comm, out->temporary);
        out->transfer = trm_h5_collective();
        if (out->file < 0 || out->transfer < 0)
            status = trm_fail(err, TRM_ERR_CREATE, "output '%s': can't create '%s'", path, out->temporary);
        status = trm_agree(comm, status, err);
    }
    if (status != TRM_OK)
        trm_output_close(out);
    return status;
}

trm_status trm_output_group(trm_output *out, const char *name, hid_t *group, trm_error *err)
{
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(creation, 0);
    *group = H5Gcreate2(out->file, name, H5P_DEFAULT, creation, H5P_DEFAULT);
    trm_h5_close(creation);
    trm_status status = TRM_OK;
    if (*group < 0)
        status = trm_fail(err, TRM_ERR_IO, "output '%s': can't create group '%s'", out->target, name);
    return trm_agree(out->comm, status, err);
}

trm_status trm_output_dataset(trm_output *out, const char *name, hid_t type, int rank, const hsize_t *size,
                              hid_t *dataset, trm_error *err)
{
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, size, NULL);
    H5Pset_layout(creation, H5D_CONTIGUOUS);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(creation, 0);
    *dataset = H5Dcreate2(out->file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    trm_h5_close(space);
    trm_h5_close(creation);
    trm_status status = TRM_OK;
    if (*dataset < 0)
        status = trm_fail(err, TRM_ERR_IO, "output '%s': can't create dataset '%s'", out->target, name);
    return trm_agree(out->comm, status, err);
}

/* After a failed write: err is agreed. Rank 0 removes the file, the rank that failed first prints and aborts.
 */
static _Noreturn void die(trm_output *out, const trm_error *err)
{
    int rank = rank_of(out->comm);
    if (rank == 0)
        unlink(out->temporary);
    MPI_Barrier(out->comm);
    if (rank == err->rank)
        trm_abort(out->comm, err);
    for (;;)
        MPI_Barrier(out->comm); /* until the abort arrives */
}

void trm_output_write_block(trm_output *out, hid_t dataset, hid_t type, const trm_h5_block *block,
                            const void *data)
{
    trm_error err = TRM_ERROR_INIT;
    trm_status status = TRM_OK;
    hid_t space = H5Dget_space(dataset);
    hid_t memory = trm_h5_select(space, block);
    errno = 0;
    if (H5Dwrite(dataset, type, memory, space, out->transfer, data) < 0)
        status = trm_fail(&err, TRM_ERR_IO, "output '%s': writing failed%s%s, the file was not changed",
                          out->target, errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    trm_h5_close(memory);
    trm_h5_close(space);
    if (trm_agree(out->comm, status, &err) != TRM_OK)
        die(out, &err);
}

void trm_output_write(trm_output *out, hid_t dataset, hid_t type, int64_t first, int64_t count, int64_t width,
                      const void *data)
{
    const trm_h5_block block = {first, count, 0, 1, width};
    trm_output_write_block(out, dataset, type, &block, data);
}

static hid_t attribute_type(const trm_attribute *attribute)
{
    if (attribute->type == TRM_ATTRIBUTE_INT)
        return H5Tcopy(H5T_STD_I64LE);
    if (attribute->type == TRM_ATTRIBUTE_FLOAT)
        return H5Tcopy(H5T_IEEE_F64LE);
    size_t length = strlen(attribute->text);
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, length > 0 ? length : 1);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

static herr_t put_attribute(hid_t object, const char *name, hid_t type, hid_t memory_type, const void *value)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t handle = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    herr_t result = handle < 0 ? -1 : H5Awrite(handle, memory_type, value);
    trm_h5_close(handle);
    trm_h5_close(space);
    return result;
}

trm_status trm_output_attribute(trm_output *out, hid_t object, const trm_attribute *attribute, trm_error *err)
{
    trm_status status = TRM_OK;
    if (attribute->type == TRM_ATTRIBUTE_TEXT && strlen(attribute->text) > MAX_TEXT)
        status = trm_fail(err, TRM_ERR_INTERNAL, "output '%s': attribute '%s' is too long", out->target,
                          attribute->name);
    status = trm_agree(out->comm, status, err);
    if (status != TRM_OK)
        return status;
    hid_t type = attribute_type(attribute);
    herr_t result = 0;
    if (attribute->type == TRM_ATTRIBUTE_INT)
        result = put_attribute(object, attribute->name, type, H5T_NATIVE_INT64, &attribute->integer);
    else if (attribute->type == TRM_ATTRIBUTE_FLOAT)
        result = put_attribute(object, attribute->name, type, H5T_NATIVE_DOUBLE, &attribute->number);
    else
        result = put_attribute(object, attribute->name, type, type, attribute->text);
    trm_h5_close(type);
    if (result < 0)
        status = trm_fail(err, TRM_ERR_IO, "output '%s': writing attribute '%s' failed", out->target,
                          attribute->name);
    return trm_agree(out->comm, status, err);
}

static trm_status mark_complete(trm_output *out, trm_error *err)
{
    uint8_t one = 1;
    trm_status status = TRM_OK;
    if (H5Fflush(out->file, H5F_SCOPE_GLOBAL) < 0 ||
        put_attribute(out->file, "complete", H5T_STD_U8LE, H5T_NATIVE_UINT8, &one) < 0 ||
        H5Fflush(out->file, H5F_SCOPE_GLOBAL) < 0)
        status = trm_fail(err, TRM_ERR_IO, "output '%s': writing failed", out->target);
    if (H5Fclose(out->file) < 0)
        status = trm_fail(err, TRM_ERR_IO, "output '%s': closing '%s' failed", out->target, out->temporary);
    out->file = -1;
    return trm_agree(out->comm, status, err);
}

static bool is_complete(hid_t file)
{
    int64_t complete = 0;
    return trm_h5_attribute_int(file, "complete", &complete) && complete == 1;
}

static bool has_rows(hid_t file, const char *name, int64_t rows)
{
    hsize_t size[3] = {0, 0, 0};
    hid_t dataset = H5Dopen2(file, name, H5P_DEFAULT);
    hid_t space = dataset < 0 ? -1 : H5Dget_space(dataset);
    bool fits = space >= 0 && H5Sget_simple_extent_dims(space, size, NULL) >= 0 && (int64_t)size[0] == rows;
    trm_h5_close(space);
    trm_h5_close(dataset);
    return fits;
}

static trm_status verify(const trm_output *out, int items, const trm_output_check_item *item, trm_error *err)
{
    char why[256] = {0};
    hid_t file = trm_h5_open_serial(out->temporary, why, sizeof why);
    if (file < 0)
        return trm_fail(err, TRM_ERR_IO, "output '%s': what was written can't be read back (%s)", out->target,
                        why);
    trm_status status = TRM_OK;
    if (!is_complete(file))
        status = trm_fail(err, TRM_ERR_IO, "output '%s': what was written is not complete", out->target);
    for (int i = 0; i < items && status == TRM_OK; i++)
        if (!has_rows(file, item[i].name, item[i].rows))
            status = trm_fail(err, TRM_ERR_IO, "output '%s': dataset '%s' was not written whole", out->target,
                              item[i].name);
    H5Fclose(file);
    return status;
}

static trm_status sync_path(const char *target, const char *path, int flags, trm_error *err)
{
    int file = open(path, flags | O_CLOEXEC);
    trm_status status = TRM_OK;
    /* Some file systems can't fsync a folder and say EINVAL: nothing to be done there. */
    if (file < 0 || (fsync(file) != 0 && errno != EINVAL))
        status = trm_fail(err, TRM_ERR_IO, "output '%s': fsync of '%s': %s", target, path, strerror(errno));
    if (file >= 0)
        close(file);
    return status;
}

trm_status trm_output_rename(const char *temporary, const char *target, trm_error *err)
{
    char *folder = trm_output_folder(target);
    trm_status status = folder == NULL ? trm_fail_memory(err, "a file name", (int64_t)strlen(target), 1)
                                       : sync_path(target, temporary, O_RDONLY, err);
    if (status == TRM_OK && rename(temporary, target) != 0)
        status = trm_fail(err, TRM_ERR_CREATE, "output '%s': can't be renamed from '%s': %s", target,
                          temporary, strerror(errno));
    if (status == TRM_OK)
        status = sync_path(target, folder, O_RDONLY | O_DIRECTORY, err);
    trm_free(folder);
    return status;
}

trm_status trm_output_commit(trm_output *out, int attributes, const trm_attribute *attribute, int items,
                             const trm_output_check_item *item, trm_error *err)
{
    trm_status status = TRM_OK;
    for (int i = 0; i < attributes && status == TRM_OK; i++)
        status = trm_output_attribute(out, out->file, &attribute[i], err);
    if (status == TRM_OK)
        status = mark_complete(out, err);
    if (status != TRM_OK)
        return status;
    if (rank_of(out->comm) == 0) {
        status = verify(out, items, item, err);
        if (status == TRM_OK)
            status = trm_output_rename(out->temporary, out->target, err);
    }
    return trm_agree(out->comm, status, err);
}

void trm_output_close(trm_output *out)
{
    if (out->file >= 0)
        H5Fclose(out->file);
    trm_h5_close(out->transfer);
    if (out->comm != MPI_COMM_NULL && rank_of(out->comm) == 0 && out->temporary != NULL)
        unlink(out->temporary); /* gone already where it was renamed */
    trm_free(out->target);
    trm_free(out->temporary);
    *out = (trm_output)TRM_OUTPUT_INIT;
}
