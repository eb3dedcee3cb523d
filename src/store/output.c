/* Output files; see output.h for what is promised and why. */
#include "store/output.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "store/plain.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TEXT = 60000 }; /* an attribute of 64 KiB or more fails in this format */

static trm_status check_room(const trm_claim *claim, int64_t bytes, trm_error *err)
{
    const double available = trm_claim_free_bytes(claim);
    if (available >= (double)bytes)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_IO, "%s '%s': needs %" PRId64 " bytes, '%s' has %.0f free", claim->kind,
                    claim->path, bytes, claim->folder, available);
}

trm_status trm_output_room(const trm_claim *claim, int64_t bytes, trm_error *err)
{
    return trm_agree(claim->comm, trm_rank_of(claim->comm) == 0 ? check_room(claim, bytes, err) : TRM_OK,
                     err);
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "results are little-endian files, written as the machine's own bytes"
#endif

static hid_t create_file(const char *path)
{
    hid_t access = trm_h5_access_serial(), creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(creation, 0);
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    trm_h5_close(creation);
    trm_h5_close(access);
    return file;
}

static const char *path_of(const trm_output *out)
{
    return out->draft.claim->path;
}

static trm_plain_name named(const trm_output *out)
{
    return (trm_plain_name){"output", path_of(out)};
}

/* What came of a step of writing; the claim keeps that one failed. */
static trm_status noted(trm_claim *claim, trm_status status)
{
    claim->unwritten = claim->unwritten || status != TRM_OK;
    return status;
}

/* The metadata of a result is a few KiB; this much more must fit too. */
static const int64_t metadata_bytes = INT64_C(1) << 18;

trm_status trm_output_create(MPI_Comm comm, trm_claim *claim, int64_t bytes, trm_output *out, trm_error *err)
{
    char path[32];
    *out = (trm_output)TRM_OUTPUT_INIT;
    out->comm = comm;
    trm_status status = trm_output_room(claim, bytes + metadata_bytes, err);
    if (status == TRM_OK)
        status = trm_draft_open(comm, claim, &out->draft, err);
    if (status != TRM_OK)
        return noted(claim, status);
    if (trm_rank_of(comm) == 0) {
        trm_draft_path(&out->draft, path);
        out->file = create_file(path);
        if (out->file < 0)
            status = trm_fail(err, TRM_ERR_CREATE, "output '%s': HDF5 can't create it in '%s'", claim->path,
                              claim->folder);
    }
    status = noted(claim, trm_agree(comm, status, err));
    if (status != TRM_OK)
        trm_output_close(out);
    return status;
}

static hid_t make_group(hid_t file, const char *name)
{
    hid_t creation = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(creation, 0);
    hid_t group = H5Gcreate2(file, name, H5P_DEFAULT, creation, H5P_DEFAULT);
    trm_h5_close(creation);
    return group;
}

trm_status trm_output_group(trm_output *out, const char *name, trm_error *err)
{
    trm_status status = TRM_OK;
    if (trm_rank_of(out->comm) == 0 && H5Lexists(out->file, name, H5P_DEFAULT) <= 0) {
        hid_t group = make_group(out->file, name);
        if (group < 0)
            status = trm_fail(err, TRM_ERR_IO, "output '%s': can't create group '%s'", path_of(out), name);
        trm_h5_close(group);
    }
    return noted(out->draft.claim, trm_agree(out->comm, status, err));
}

static hid_t make_dataset(hid_t file, const char *name, hid_t type, int rank, const hsize_t *size)
{
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(rank, size, NULL);
    H5Pset_layout(creation, H5D_CONTIGUOUS);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
    H5Pset_obj_track_times(creation, 0);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    trm_h5_close(space);
    trm_h5_close(creation);
    return dataset;
}

trm_status trm_output_dataset(trm_output *out, const char *name, hid_t type, int rank, const hsize_t *size,
                              trm_output_place *place, trm_error *err)
{
    trm_status status = TRM_OK;
    *place = (trm_output_place){-1, (int64_t)H5Tget_size(type)};
    if (trm_rank_of(out->comm) == 0) {
        hid_t dataset = make_dataset(out->file, name, type, rank, size);
        const haddr_t offset = dataset < 0 ? HADDR_UNDEF : H5Dget_offset(dataset);
        place->offset = offset == HADDR_UNDEF ? -1 : (int64_t)offset;
        bool empty = false;
        for (int d = 0; d < rank; d++)
            empty = empty || size[d] == 0;
        if (dataset < 0 || (place->offset < 0 && !empty))
            status = trm_fail(err, TRM_ERR_IO, "output '%s': can't create dataset '%s'", path_of(out), name);
        trm_h5_close(dataset);
    }
    MPI_Bcast(&place->offset, 1, MPI_INT64_T, 0, out->comm);
    return noted(out->draft.claim, trm_agree(out->comm, status, err));
}

trm_status trm_output_write(trm_output *out, trm_output_place place, int64_t first, int64_t count,
                            const void *data, trm_error *err)
{
    return noted(out->draft.claim, trm_plain_write(out->draft.file, named(out), data, count * place.size,
                                                   place.offset + first * place.size, err));
}

/* The names as HDF5 takes them: a char * each, into the names themselves but for those with a NUL. */
static trm_status list_names(const trm_names *names, char **list, trm_error *err)
{
    for (int64_t i = 0; i < names->count; i++) {
        int64_t length = 0, used = 0;
        const char *name = trm_names_get(names, i, &length);
        list[i] = (char *)(uintptr_t)name;
        if ((int64_t)strlen(name) == length)
            continue;
        list[i] = trm_alloc(4 * length + 1, 1);
        if (list[i] == NULL)
            return trm_fail_memory(err, "names of labels", 4 * length + 1, 1);
        for (int64_t k = 0; k < length; k++)
            used += sprintf(list[i] + used, name[k] == '\0' ? "\\x00" : "%c", name[k]);
    }
    return TRM_OK;
}

static bool write_names(hid_t file, const char *name, const trm_names *names, char **list)
{
    const hsize_t count = (hsize_t)names->count;
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5T_CSET_UTF8);
    /* HDF5 wants texts of any length filled, so this is not one of make_dataset's. */
    hid_t creation = H5Pcreate(H5P_DATASET_CREATE), space = H5Screate_simple(1, &count, NULL);
    H5Pset_obj_track_times(creation, 0);
    hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
    const bool written =
        dataset >= 0 && (count == 0 || H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, list) >= 0);
    trm_h5_close(dataset);
    trm_h5_close(space);
    trm_h5_close(creation);
    trm_h5_close(type);
    return written;
}

int64_t trm_output_names_bytes(const trm_names *names)
{
    enum { A_REFERENCE = 16, AN_OBJECT = 24 }; /* in the dataset, in the heap */
    return names == NULL ? 0 : trm_names_bytes(names) + names->count * (A_REFERENCE + AN_OBJECT);
}

trm_status trm_output_names(trm_output *out, const char *name, const trm_names *names, trm_error *err)
{
    trm_status status = TRM_OK;
    if (trm_rank_of(out->comm) == 0 && names != NULL) {
        char **list = trm_alloc_zero(names->count, sizeof *list);
        status = list == NULL ? trm_fail_memory(err, "names of labels", names->count, sizeof *list)
                              : list_names(names, list, err);
        if (status == TRM_OK && !write_names(out->file, name, names, list))
            status = trm_fail(err, TRM_ERR_IO, "output '%s': can't write dataset '%s'", path_of(out), name);
        for (int64_t i = 0; list != NULL && i < names->count; i++)
            if (list[i] != NULL && list[i] != trm_names_get(names, i, NULL))
                trm_free(list[i]);
        trm_free(list);
    }
    return noted(out->draft.claim, trm_agree(out->comm, status, err));
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

static trm_status write_attribute(const trm_output *out, hid_t object, const trm_attribute *attribute,
                                  trm_error *err)
{
    if (attribute->type == TRM_ATTRIBUTE_TEXT && strlen(attribute->text) > MAX_TEXT)
        return trm_fail(err, TRM_ERR_INTERNAL, "output '%s': attribute '%s' is too long", path_of(out),
                        attribute->name);
    hid_t type = attribute_type(attribute);
    herr_t result = 0;
    if (attribute->type == TRM_ATTRIBUTE_INT)
        result = put_attribute(object, attribute->name, type, H5T_NATIVE_INT64, &attribute->integer);
    else if (attribute->type == TRM_ATTRIBUTE_FLOAT)
        result = put_attribute(object, attribute->name, type, H5T_NATIVE_DOUBLE, &attribute->number);
    else
        result = put_attribute(object, attribute->name, type, type, attribute->text);
    trm_h5_close(type);
    return result >= 0 ? TRM_OK
                       : trm_fail(err, TRM_ERR_IO, "output '%s': writing attribute '%s' failed", path_of(out),
                                  attribute->name);
}

trm_status trm_output_attribute(trm_output *out, const char *object, const trm_attribute *attribute,
                                trm_error *err)
{
    trm_status status = TRM_OK;
    if (trm_rank_of(out->comm) == 0) {
        hid_t handle = H5Oopen(out->file, object, H5P_DEFAULT);
        status = write_attribute(out, handle, attribute, err);
        trm_h5_close(handle);
    }
    return noted(out->draft.claim, trm_agree(out->comm, status, err));
}

/* HDF5 can't give up a file: what it could not write it tries again when the file is closed and when the
 * program ends, where it crashes (1.10.8). So after its last flush, or a failed one, HDF5 gets a file in
 * memory to write to instead; and where even that does not let it go, the job ends here. */
static void give_up(trm_output *out)
{
    int *descriptor = NULL;
    trm_error err = TRM_ERROR_INIT;
    const int elsewhere = memfd_create("trimine", MFD_CLOEXEC);
    if (H5Fget_vfd_handle(out->file, H5P_DEFAULT, (void **)&descriptor) >= 0 && elsewhere >= 0)
        dup2(elsewhere, *descriptor);
    if (elsewhere >= 0)
        close(elsewhere);
    errno = 0;
    const bool closed = H5Fclose(out->file) >= 0;
    out->file = -1;
    if (closed)
        return;
    (void)trm_fail(&err, TRM_ERR_IO, "output '%s': writing failed%s%s", path_of(out), errno != 0 ? ": " : "",
                   errno != 0 ? strerror(errno) : "");
    trm_draft_close(&out->draft);
    trm_claims_drop();
    trm_abort(out->comm, &err);
}

/* Rank 0: what is left to write of the file. */
static trm_status finish(trm_output *out, int attributes, const trm_attribute *attribute, trm_error *err)
{
    const uint8_t one = 1;
    trm_status status = TRM_OK;
    for (int i = 0; i < attributes && status == TRM_OK; i++)
        status = write_attribute(out, out->file, &attribute[i], err);
    errno = 0;
    if (status == TRM_OK && (H5Fflush(out->file, H5F_SCOPE_GLOBAL) < 0 ||
                             put_attribute(out->file, "complete", H5T_STD_U8LE, H5T_NATIVE_UINT8, &one) < 0 ||
                             H5Fflush(out->file, H5F_SCOPE_GLOBAL) < 0))
        status = trm_fail(err, TRM_ERR_IO, "output '%s': writing failed%s%s", path_of(out),
                          errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    give_up(out);
    return status;
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
    char why[256] = {0}, path[32];
    trm_draft_path(&out->draft, path);
    hid_t file = trm_h5_open_serial(path, why, sizeof why);
    if (file < 0)
        return trm_fail(err, TRM_ERR_IO, "output '%s': what was written can't be read back (%s)",
                        path_of(out), why);
    trm_status status = TRM_OK;
    if (!is_complete(file))
        status = trm_fail(err, TRM_ERR_IO, "output '%s': what was written is not complete", path_of(out));
    for (int i = 0; i < items && status == TRM_OK; i++)
        if (!has_rows(file, item[i].name, item[i].rows))
            status = trm_fail(err, TRM_ERR_IO, "output '%s': dataset '%s' was not written whole",
                              path_of(out), item[i].name);
    H5Fclose(file);
    return status;
}

static bool text_is(hid_t file, const char *name, const char *wanted)
{
    char *text = trm_alloc(MAX_TEXT + 1, 1);
    const bool is =
        text != NULL && trm_h5_attribute_text(file, name, text, MAX_TEXT + 1) && strcmp(text, wanted) == 0;
    trm_free(text);
    return is;
}

bool trm_output_holds(const char *path, const char *version, const char *options, const char *fingerprint)
{
    char why[256];
    struct stat about;
    if (stat(path, &about) != 0 || !S_ISREG(about.st_mode))
        return false;
    trm_h5_handler handler = trm_h5_silence();
    hid_t file = trm_h5_open_serial(path, why, sizeof why);
    const bool holds = file >= 0 && is_complete(file) && text_is(file, "program_version", version) &&
                       text_is(file, "options", options) && text_is(file, "store_fingerprint", fingerprint);
    if (file >= 0)
        H5Fclose(file);
    trm_h5_restore(handler);
    return holds;
}

trm_status trm_output_commit(trm_output *out, int attributes, const trm_attribute *attribute, int items,
                             const trm_output_check_item *item, trm_error *err)
{
    trm_status status = trm_agree(out->comm, trm_plain_sync(out->draft.file, named(out), err), err);
    if (status == TRM_OK && trm_rank_of(out->comm) == 0) {
        status = finish(out, attributes, attribute, err);
        if (status == TRM_OK)
            status = verify(out, items, item, err);
        if (status == TRM_OK)
            status = trm_draft_place(&out->draft, err);
    }
    return noted(out->draft.claim, trm_agree(out->comm, status, err));
}

void trm_output_close(trm_output *out)
{
    if (out->file >= 0)
        give_up(out);
    trm_draft_close(&out->draft);
    *out = (trm_output)TRM_OUTPUT_INIT;
}
