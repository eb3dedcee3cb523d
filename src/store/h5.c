/* The shared HDF5 calls; see h5.h. */
#include "store/h5.h"
#include "store/result.h"

#include "base/alloc.h"
#include "store/describe.h"
#include "store/sources.h"
#include "store/store_inner.h"

#include <stdio.h>
#include <string.h>

static const int64_t piece_bytes = INT64_C(64) << 20; /* well under HDF5's limit of 2 GiB a call */

static int silence_end(MPI_Comm comm, int key, void *value, void *state)
{
    (void)comm, (void)key, (void)value, (void)state;
    return H5Eset_auto2(H5E_DEFAULT, NULL, NULL) < 0 ? MPI_ERR_OTHER : MPI_SUCCESS;
}

/* HDF5 (1.10.8) can lose count of what it opened in a damaged file, and prints lines about that when MPI
 * ends, and it with it: attributes of MPI_COMM_SELF are deleted then, the last first, and HDF5's own is
 * older. */
static void expect_end(void)
{
    static bool expected;
    int key = MPI_KEYVAL_INVALID;
    if (expected)
        return;
    expected = true;
    if (MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, silence_end, &key, NULL) != MPI_SUCCESS)
        return;
    MPI_Comm_set_attr(MPI_COMM_SELF, key, NULL);
    MPI_Comm_free_keyval(&key);
}

trm_h5_handler trm_h5_silence(void)
{
    trm_h5_handler handler = {NULL, NULL};
    H5Eget_auto2(H5E_DEFAULT, &handler.function, &handler.data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    expect_end();
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

void trm_h5_reason(char *text, size_t size)
{
    reason kept = {text, size};
    text[0] = '\0';
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_description, &kept);
}

hid_t trm_h5_access_serial(void)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(access, 0, 1);
#endif
    return access;
}

/* HDF5 (1.10) locks a source of a virtual dataset whatever the access of the file that leads there says, and
 * where it gets no lock, it reads zeros without a word. The driver it does hand on: this one is HDF5's usual
 * one without locks. path: any HDF5 file, by which the usual one is found. */
static void refuse_locks(hid_t access, const char *path)
{
#if !H5_VERSION_GE(1, 13, 0) /* from there on the access is handed on */
    static hid_t driver = -1;
    if (H5Iis_valid(driver) <= 0) { /* the first time, or after H5close */
        H5FD_t *file = H5FDopen(path, H5F_ACC_RDONLY, access, HADDR_UNDEF);
        if (file == NULL)
            return;
        H5FD_class_t without = *file->cls;
        without.name = "trimine";
        without.lock = NULL;
        without.unlock = NULL;
        driver = H5FDregister(&without);
        H5FDclose(file);
    }
    H5Pset_driver(access, driver, NULL);
#else
    (void)access, (void)path;
#endif
}

hid_t trm_h5_open_serial(const char *path, char *why, size_t size)
{
    hid_t access = trm_h5_access_serial();
    refuse_locks(access, path);
    hid_t file = H5Fopen(path, H5F_ACC_RDONLY, access);
    if (file < 0)
        trm_h5_reason(why, size); /* before the next call clears the stack */
    trm_h5_close(access);
    return file;
}

void trm_h5_version(char text[TRM_H5_VERSION])
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, TRM_H5_VERSION, "%u.%u.%u", major, minor, release);
}

void trm_h5_close(hid_t handle)
{
    if (handle >= 0)
        H5Idec_ref(handle);
}

hid_t trm_h5_select(hid_t file_space, int rank, const trm_h5_block *block)
{
    int axis[3] = {0, 0, 0};
    hsize_t ignored[3], start[H5S_MAX_RANK] = {0}, size[H5S_MAX_RANK];
    if (!trm_h5_squeeze(file_space, rank, axis, ignored))
        return -1;
    const bool none = block->rows == 0;
    const hsize_t values = none ? 1 : (hsize_t)(block->rows * block->items * block->width);
    hid_t memory = H5Screate_simple(1, &values, NULL);
    if (memory < 0)
        return memory;
    for (int d = 0; d < H5S_MAX_RANK; d++)
        size[d] = 1;
    start[axis[0]] = (hsize_t)block->first;
    size[axis[0]] = (hsize_t)(none ? 1 : block->rows);
    if (rank == 3) {
        start[axis[1]] = (hsize_t)block->item;
        size[axis[1]] = (hsize_t)block->items;
    }
    if (rank > 1)
        size[axis[rank - 1]] = (hsize_t)block->width;
    herr_t result = none ? (H5Sselect_none(memory) < 0 ? -1 : H5Sselect_none(file_space))
                         : H5Sselect_hyperslab(file_space, H5S_SELECT_SET, start, NULL, size, NULL);
    if (result < 0) {
        trm_h5_close(memory);
        return -1;
    }
    return memory;
}

static int64_t at_least_one(int64_t value)
{
    return value > 1 ? value : 1;
}

trm_h5_pieces trm_h5_divide(int64_t first, int64_t rows, int64_t most, int64_t items, int64_t width,
                            int64_t size)
{
    trm_h5_pieces all = {.first = first, .rows = rows, .items = items, .width = width};
    const int64_t room = at_least_one(piece_bytes / at_least_one(width * size)); /* items in a piece */
    all.row_step = at_least_one(room / at_least_one(items));
    all.item_step = at_least_one(items < room ? items : room);
    all.a_row = (items + all.item_step - 1) / all.item_step;
    all.pieces = (most + all.row_step - 1) / all.row_step * all.a_row;
    return all;
}

trm_h5_block trm_h5_piece(const trm_h5_pieces *all, int64_t i, int64_t *done)
{
    const int64_t row = i / all->a_row * all->row_step, item = i % all->a_row * all->item_step;
    if (row >= all->rows) {
        *done = 0;
        return (trm_h5_block){all->first, 0, 0, 0, all->width};
    }
    const int64_t rows = all->rows - row, items = all->items - item;
    *done = row * all->items + item;
    return (trm_h5_block){all->first + row, rows < all->row_step ? rows : all->row_step, item,
                          items < all->item_step ? items : all->item_step, all->width};
}

int64_t trm_h5_piece_bytes(const trm_h5_pieces *all, int64_t size)
{
    const int64_t rows = all->rows < all->row_step ? all->rows : all->row_step;
    return at_least_one(rows * all->item_step * all->width * size);
}

/* ---- looking at a file, on one rank ---- */

/* An attribute with one element, and its type; negative where there is none. */
static hid_t open_attribute(hid_t object, const char *name, hid_t *type)
{
    *type = -1;
    if (H5Aexists(object, name) <= 0)
        return -1;
    hid_t handle = H5Aopen(object, name, H5P_DEFAULT);
    hid_t space = handle < 0 ? -1 : H5Aget_space(handle);
    const bool one = space >= 0 && H5Sget_simple_extent_npoints(space) == 1;
    trm_h5_close(space);
    if (!one) {
        trm_h5_close(handle);
        return -1;
    }
    *type = H5Aget_type(handle);
    return handle;
}

bool trm_h5_attribute_int(hid_t object, const char *name, int64_t *value)
{
    hid_t type = -1, handle = open_attribute(object, name, &type);
    const bool read =
        type >= 0 && H5Tget_class(type) == H5T_INTEGER && H5Aread(handle, H5T_NATIVE_INT64, value) >= 0;
    trm_h5_close(type);
    trm_h5_close(handle);
    return read;
}

static bool read_variable(hid_t handle, hid_t type, char *text, size_t size)
{
    char *own = NULL; /* HDF5's memory */
    if (H5Aread(handle, type, &own) < 0)
        return false;
    snprintf(text, size, "%s", own == NULL ? "" : own);
    H5free_memory(own);
    return true;
}

static bool read_fixed(hid_t handle, hid_t type, char *text, size_t size)
{
    const size_t length = H5Tget_size(type);
    char *own = trm_alloc_zero((int64_t)length + 1, 1);
    const bool read = own != NULL && H5Aread(handle, type, own) >= 0;
    if (read) {
        for (size_t i = strlen(own); i > 0 && H5Tget_strpad(type) == H5T_STR_SPACEPAD && own[i - 1] == ' ';
             i--)
            own[i - 1] = '\0';
        snprintf(text, size, "%s", own);
    }
    trm_free(own);
    return read;
}

bool trm_h5_attribute_text(hid_t object, const char *name, char *text, size_t size)
{
    hid_t type = -1, handle = open_attribute(object, name, &type);
    bool read = type >= 0 && H5Tget_class(type) == H5T_STRING;
    if (read)
        read = H5Tis_variable_str(type) > 0 ? read_variable(handle, type, text, size)
                                            : read_fixed(handle, type, text, size);
    trm_h5_close(type);
    trm_h5_close(handle);
    return read;
}

enum { SAMPLE = 4096 };

/* Numbers, or h5py's bool, of some rows as float64. */
static bool read_sample(hid_t dataset, hid_t type, const trm_h5_block *block, double value[SAMPLE])
{
    int8_t small[SAMPLE];
    const bool is_enum = H5Tget_class(type) == H5T_ENUM;
    const int64_t values = block->rows * block->width;
    if (values == 0 || (is_enum && H5Tget_size(type) != 1))
        return false;
    hid_t space = H5Dget_space(dataset), memory = trm_h5_select(space, 2, block);
    const bool read = memory >= 0 && H5Dread(dataset, is_enum ? type : H5T_NATIVE_DOUBLE, memory, space,
                                             H5P_DEFAULT, is_enum ? (void *)small : value) >= 0;
    for (int64_t i = 0; i < values && is_enum; i++)
        value[i] = small[i];
    trm_h5_close(memory);
    trm_h5_close(space);
    return read;
}

/* Do the first rows of an N x C dataset of numbers have one 1 each, and 0 else? */
static bool looks_one_hot(hid_t dataset, hid_t type, const hsize_t size[2])
{
    double value[SAMPLE];
    const int64_t columns = (int64_t)size[1], most = columns > 0 ? SAMPLE / columns : 0;
    const trm_h5_block block = {0, most < (int64_t)size[0] ? most : (int64_t)size[0], 0, 1, columns};
    bool looks = read_sample(dataset, type, &block, value);
    for (int64_t i = 0; i < block.rows && looks; i++) {
        int ones = 0;
        for (int64_t k = 0; k < columns && looks; k++) {
            const double x = value[i * columns + k];
            looks = x == 0.0 || x == 1.0;
            ones += x == 1.0;
        }
        looks = looks && ones == 1;
    }
    return looks;
}

static const char *const wanted_shapes[] = {"", "one value a row", "rows x columns",
                                            "rows x items x columns"};
static const char *const wanted_types[] = {
    [TRM_WANT_FLOATS] = "floats (float16 to float64, bfloat16) or integers: write it as float32",
    [TRM_WANT_INTEGERS] = "integers",
    [TRM_WANT_LABELS] = "whole numbers, strings or an enum",
    [TRM_WANT_IDS] = "integers or strings"};

/* What to write instead of labels that have several values a row. */
static const char *label_remedy(hid_t dataset, hid_t type, hid_t space)
{
    int axis[3];
    hsize_t size[3];
    if (!trm_h5_squeeze(space, 2, axis, size))
        return "";
    if (H5Tget_class(type) == H5T_FLOAT && !looks_one_hot(dataset, type, size))
        return ": write its argmax(axis=1) if these are probabilities, else one column of it";
    return looks_one_hot(dataset, type, size) ? ": it looks one-hot; write its argmax(axis=1) instead"
                                              : ": write one column of it, or number the combinations";
}

trm_status trm_inspect_dataset(const trm_named_file *about, hid_t dataset, const char *name, int rank,
                               trm_want want, trm_element *element, char type_name[TRM_ELEMENT_NAME],
                               hsize_t *size, trm_error *err)
{
    char type_text[TRM_TYPE_TEXT], shape[TRM_SHAPE_TEXT];
    int axis[3];
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    const bool known = trm_element_recognize(type, element, type_name);
    trm_status status = TRM_OK;
    trm_type_text(type, type_text);
    trm_space_text(space, shape);
    if (!known || !trm_element_serves(element, want))
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' (%s) holds %s, needs %s", about->kind,
                          about->path, name, shape, type_text, wanted_types[want]);
    else if (!trm_h5_squeeze(space, rank, axis, size))
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' (%s) is %s, needs %s%s", about->kind,
                          about->path, name, type_text, shape, wanted_shapes[rank],
                          want == TRM_WANT_LABELS ? label_remedy(dataset, type, space) : "");
    trm_h5_close(type);
    trm_h5_close(space);
    return status;
}

trm_status trm_inspect_named(const trm_named_file *about, trm_sources *sources, hid_t file, const char *name,
                             int rank, trm_want want, trm_element *element, hsize_t *size, trm_error *err)
{
    char type_name[TRM_ELEMENT_NAME], listed[TRM_LISTED_BYTES];
    trm_found found;
    trm_status status = trm_sources_find(sources, about, file, name, &found, err);
    if (status == TRM_OK && found.kind != TRM_FOUND_DATASET) {
        trm_inspect_list(file, "", listed);
        status = trm_fail(err, TRM_ERR_DATA, "%s '%s': %s'%s'%s; the file has: %s", about->kind, about->path,
                          found.kind == TRM_FOUND_NOTHING ? "no dataset " : "", name,
                          found.kind == TRM_FOUND_NOTHING ? ""
                          : found.kind == TRM_FOUND_GROUP ? " is a group, not a dataset"
                                                          : " is no dataset",
                          listed);
    }
    if (status == TRM_OK)
        status = trm_inspect_dataset(about, found.object, name, rank, want, element, type_name, size, err);
    trm_h5_close(found.object);
    return status;
}

const char *trm_store_library(void)
{
    static char text[64];
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);
    snprintf(text, sizeof text, "%u.%u.%u", major, minor, release);
    return text;
}
