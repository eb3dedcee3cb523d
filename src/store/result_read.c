/* Reading a result back; see result_read.h. */
#include "store/result_read.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "store/describe.h"
#include "store/sources.h"
#include "store/store_inner.h"

#include <inttypes.h>
#include <string.h>

enum { TEXT = 1 << 16 }; /* an attribute is shorter */

/* A text that was asked for. */
typedef struct kept_text {
    char *name, *text;
} kept_text;
enum { KEPT = 16 };

struct trm_result {
    trm_named_file about;
    char *path;
    hid_t file;
    trm_sources sources;
    kept_text kept[KEPT];
    int kept_count;
};

/* ---- what it says of itself ---- */

/* Reads all texts that the root has, so that they can be borrowed. */
static trm_status keep_text(trm_result *result, const char *name, trm_error *err)
{
    char *text = trm_alloc(TEXT, 1);
    if (text == NULL)
        return trm_fail_memory(err, "an attribute", TEXT, 1);
    if (H5Aexists(result->file, name) > 0 && trm_h5_attribute_text(result->file, name, text, TEXT)) {
        kept_text *kept = &result->kept[result->kept_count];
        kept->name = trm_format("%s", name);
        kept->text = trm_format("%s", text);
        result->kept_count++;
        if (kept->name == NULL || kept->text == NULL) {
            trm_free(text);
            return trm_fail_memory(err, "an attribute", TEXT, 1);
        }
    }
    trm_free(text);
    return TRM_OK;
}

static trm_status keep_texts(trm_result *result, trm_error *err)
{
    static const char *const names[] = {"format",      "program_version",    "metric",
                                        "options",     "store_fingerprint",  "queries_fingerprint",
                                        "result_hash", "packed_fingerprint", "loss"};
    trm_status status = TRM_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names && status == TRM_OK; i++)
        status = keep_text(result, names[i], err);
    return status;
}

const char *trm_result_path(const trm_result *result)
{
    return result->path;
}

const char *trm_result_text(const trm_result *result, const char *name)
{
    for (int i = 0; i < result->kept_count; i++)
        if (strcmp(result->kept[i].name, name) == 0)
            return result->kept[i].text;
    return NULL;
}

bool trm_result_whole(const trm_result *result, const char *name, int64_t *value)
{
    trm_h5_handler handler = trm_h5_silence();
    const bool there = trm_h5_attribute_int(result->file, name, value);
    trm_h5_restore(handler);
    return there;
}

bool trm_result_real(const trm_result *result, const char *name, double *value)
{
    trm_h5_handler handler = trm_h5_silence();
    hid_t attribute =
        H5Aexists(result->file, name) > 0 ? H5Aopen(result->file, name, H5P_DEFAULT) : H5I_INVALID_HID;
    hid_t space = attribute < 0 ? H5I_INVALID_HID : H5Aget_space(attribute),
          type = attribute < 0 ? H5I_INVALID_HID : H5Aget_type(attribute);
    const bool there = space >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
                       H5Tget_class(type) == H5T_FLOAT && H5Aread(attribute, H5T_NATIVE_DOUBLE, value) >= 0;
    trm_h5_close(type);
    trm_h5_close(space);
    trm_h5_close(attribute);
    trm_h5_restore(handler);
    return there;
}

/* ---- opening ---- */

static trm_status check_root(trm_result *result, trm_error *err)
{
    static const char ours[] = "trimine-";
    int64_t complete = 0, version = 0;
    const char *format = trm_result_text(result, "format"), *path = result->path;
    if (format == NULL || strncmp(format, ours, strlen(ours)) != 0)
        return trm_fail(err, TRM_ERR_DATA, "result '%s': attribute 'format' is %s%s%s: no result of trimine",
                        path, format == NULL ? "missing" : "'", format == NULL ? "" : format,
                        format == NULL ? "" : "'");
    if (!trm_h5_attribute_int(result->file, "complete", &complete) || complete != 1)
        return trm_fail(err, TRM_ERR_DATA,
                        "result '%s': the file is not complete (attribute 'complete' is not 1)", path);
    if (!trm_h5_attribute_int(result->file, "format_version", &version) || version != 1)
        return trm_fail(err, TRM_ERR_DATA, "result '%s': attribute 'format_version' is not 1", path);
    return TRM_OK;
}

static trm_status open_file(const char *path, trm_result *result, trm_error *err)
{
    result->path = trm_format("%s", path);
    if (result->path == NULL)
        return trm_fail_memory(err, "a path", (int64_t)strlen(path), 1);
    result->about = (trm_named_file){"result", result->path};
    trm_status status = trm_sources_add_input(&result->sources, &result->about, err);
    if (status == TRM_OK)
        status = trm_inspect_open(&result->about, &result->file, err);
    if (status == TRM_OK)
        status = keep_texts(result, err);
    return status == TRM_OK ? check_root(result, err) : status;
}

trm_status trm_result_open(MPI_Comm comm, const char *path, trm_result **result, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    trm_h5_handler handler = trm_h5_silence();
    trm_result *made = *result = trm_alloc_zero(1, sizeof *made);
    trm_status status = made == NULL ? trm_fail_memory(err, "a result", 1, sizeof *made) : TRM_OK;
    if (status == TRM_OK) {
        made->file = -1;
        made->sources = (trm_sources)TRM_SOURCES_INIT;
        status = open_file(path, made, err);
    }
    status = trm_agree(comm, status, err);
    trm_h5_restore(handler);
    if (status != TRM_OK)
        trm_result_close(result);
    return status;
}

void trm_result_close(trm_result **result)
{
    trm_result *old = *result;
    if (old == NULL)
        return;
    trm_h5_handler handler = trm_h5_silence();
    if (old->file >= 0)
        H5Fclose(old->file);
    trm_h5_restore(handler);
    for (int i = 0; i < old->kept_count; i++) {
        trm_free(old->kept[i].name);
        trm_free(old->kept[i].text);
    }
    trm_sources_free(&old->sources);
    trm_free(old->path);
    trm_free(old);
    *result = NULL;
}

trm_status trm_result_check_unchanged(const trm_result *result, trm_error *err)
{
    return trm_sources_check_unchanged(&result->sources, "result", err);
}

/* ---- datasets ---- */

int64_t trm_result_value_bytes(trm_array_type type)
{
    return type == TRM_ARRAY_UINT8 ? 1 : type == TRM_ARRAY_FLOAT32 ? 4 : 8;
}

static const char *type_name(trm_array_type type)
{
    return type == TRM_ARRAY_INT64     ? "int64"
           : type == TRM_ARRAY_FLOAT64 ? "float64"
           : type == TRM_ARRAY_FLOAT32 ? "float32"
                                       : "uint8";
}

static hid_t memory_type(trm_array_type type)
{
    return type == TRM_ARRAY_INT64     ? H5T_NATIVE_INT64
           : type == TRM_ARRAY_FLOAT64 ? H5T_NATIVE_DOUBLE
           : type == TRM_ARRAY_FLOAT32 ? H5T_NATIVE_FLOAT
                                       : H5T_NATIVE_UINT8;
}

/* Sizes and width. A dataset may say that it is larger than any file, and hold nothing; false: it does, with 16 bytes a value. */
static bool take_sizes(const hsize_t *size, trm_result_array *array)
{
    const int64_t most = INT64_MAX / 16;
    int64_t values = 1;
    bool fits = true;
    array->width = 1;
    for (int d = 0; d < 3; d++) {
        array->size[d] = d < array->rank ? (int64_t)size[d] : 1;
        fits = fits && array->size[d] >= 0 && (array->size[d] == 0 || values <= most / array->size[d]);
        values *= fits && array->size[d] > 0 ? array->size[d] : 1;
        array->width *= fits && d > 0 ? array->size[d] : 1;
    }
    return fits;
}

/* Type and shape of an open dataset. */
static trm_status look_at(const trm_result *result, hid_t dataset, trm_result_array *array, trm_error *err)
{
    static const trm_array_type types[] = {TRM_ARRAY_INT64, TRM_ARRAY_FLOAT64, TRM_ARRAY_FLOAT32,
                                           TRM_ARRAY_UINT8};
    char type_text[TRM_TYPE_TEXT], shape[TRM_SHAPE_TEXT];
    hsize_t size[H5S_MAX_RANK] = {0};
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    bool known = false;
    trm_type_text(type, type_text);
    trm_space_text(space, shape);
    for (size_t i = 0; i < sizeof types / sizeof *types && !known; i++)
        if (strcmp(type_text, type_name(types[i])) == 0) {
            array->type = types[i];
            known = true;
        }
    array->rank = H5Sget_simple_extent_type(space) == H5S_SIMPLE ? H5Sget_simple_extent_ndims(space) : 0;
    if (array->rank >= 1 && array->rank <= 3)
        H5Sget_simple_extent_dims(space, size, NULL);
    const bool fits = take_sizes(size, array);
    trm_h5_close(type);
    trm_h5_close(space);
    if (!known || array->rank < 1 || array->rank > 3 || !fits)
        return trm_fail(err, TRM_ERR_DATA, "result '%s': dataset '%s' (%s, %s) is none that trimine writes",
                        result->path, array->name, type_text, shape);
    return TRM_OK;
}

trm_status trm_result_find(trm_result *result, const char *name, trm_result_array *array, bool *there,
                           trm_error *err)
{
    trm_found found = {TRM_FOUND_NOTHING, -1};
    *array = (trm_result_array){.name = name};
    trm_h5_handler handler = trm_h5_silence();
    trm_status status = trm_sources_find(&result->sources, &result->about, result->file, name, &found, err);
    *there = status == TRM_OK && found.kind == TRM_FOUND_DATASET;
    if (*there)
        status = look_at(result, found.object, array, err);
    trm_h5_close(found.object);
    trm_h5_restore(handler);
    return status;
}

trm_status trm_result_need(trm_result *result, const char *name, trm_array_type type, int rank, int64_t rows,
                           trm_result_array *array, trm_error *err)
{
    bool there;
    trm_status status = trm_result_find(result, name, array, &there, err);
    if (status != TRM_OK)
        return status;
    if (!there)
        return trm_fail(err, TRM_ERR_DATA, "result '%s': no dataset '%s'", result->path, name);
    if (array->type != type || array->rank != rank)
        return trm_fail(err, TRM_ERR_DATA,
                        "result '%s': dataset '%s' holds %s values in %d dimensions, needs %s in %d",
                        result->path, name, type_name(array->type), array->rank, type_name(type), rank);
    if (rows >= 0 && array->size[0] != rows)
        return trm_fail(err, TRM_ERR_DATA, "result '%s': dataset '%s' has %" PRId64 " rows, needs %" PRId64,
                        result->path, name, array->size[0], rows);
    return TRM_OK;
}

static bool read_block(hid_t dataset, const trm_result_array *array, int64_t first, int64_t count, void *into)
{
    hsize_t start[3] = {(hsize_t)first, 0, 0},
            size[3] = {(hsize_t)count, (hsize_t)array->size[1], (hsize_t)array->size[2]};
    hid_t space = H5Dget_space(dataset), memory = H5Screate_simple(array->rank, size, NULL);
    const bool read = space >= 0 && memory >= 0 && H5Sget_simple_extent_ndims(space) == array->rank &&
                      H5Sselect_hyperslab(space, H5S_SELECT_SET, start, NULL, size, NULL) >= 0 &&
                      H5Dread(dataset, memory_type(array->type), memory, space, H5P_DEFAULT, into) >= 0;
    trm_h5_close(memory);
    trm_h5_close(space);
    return read;
}

trm_status trm_result_read(trm_result *result, const trm_result_array *array, int64_t first, int64_t count,
                           void *into, trm_error *err)
{
    if (count == 0 || array->width == 0)
        return TRM_OK;
    trm_h5_handler handler = trm_h5_silence();
    hid_t dataset = H5Dopen2(result->file, array->name, H5P_DEFAULT);
    const bool read = dataset >= 0 && read_block(dataset, array, first, count, into);
    trm_h5_close(dataset);
    trm_h5_restore(handler);
    return read ? TRM_OK
                : trm_fail(err, TRM_ERR_IO,
                           "result '%s': reading dataset '%s' rows %" PRId64 " to %" PRId64
                           " failed: damaged, or the disk is",
                           result->path, array->name, first, first + count - 1);
}

/* ---- names ---- */

static trm_status add_names(const trm_result *result, hid_t dataset, trm_names *names, trm_error *err)
{
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset), memory = H5Tcopy(H5T_C_S1);
    const int64_t count = space < 0 ? -1 : (int64_t)H5Sget_simple_extent_npoints(space);
    char **text = count < 0 ? NULL : trm_alloc_zero(count, sizeof *text);
    trm_status status = TRM_OK;
    if (count >= 0 && text == NULL)
        status = trm_fail_memory(err, "names of labels", count, sizeof *text);
    else if (text == NULL || H5Tis_variable_str(type) <= 0 || H5Tset_size(memory, H5T_VARIABLE) < 0 ||
             H5Tset_cset(memory, H5Tget_cset(type)) < 0 ||
             H5Dread(dataset, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, text) < 0)
        status = trm_fail(err, TRM_ERR_DATA, "result '%s': dataset '/label_names' can't be read as texts",
                          result->path);
    for (int64_t i = 0; i < count && status == TRM_OK; i++) {
        const char *name = text[i] == NULL ? "" : text[i];
        status = trm_names_add(names, name, (int64_t)strlen(name), err);
    }
    for (int64_t i = 0; i < count && text != NULL; i++)
        H5free_memory(text[i]);
    trm_free(text);
    trm_h5_close(memory);
    trm_h5_close(type);
    trm_h5_close(space);
    return status;
}

trm_status trm_result_names(trm_result *result, trm_names *names, trm_error *err)
{
    trm_found found = {TRM_FOUND_NOTHING, -1};
    *names = (trm_names)TRM_NAMES_INIT;
    trm_h5_handler handler = trm_h5_silence();
    trm_status status =
        trm_sources_find(&result->sources, &result->about, result->file, "/label_names", &found, err);
    if (status == TRM_OK && found.kind == TRM_FOUND_DATASET)
        status = add_names(result, found.object, names, err);
    trm_h5_close(found.object);
    trm_h5_restore(handler);
    return status;
}
