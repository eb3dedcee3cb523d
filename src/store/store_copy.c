/* Writing an open store, whatever files it is in, as one HDF5 file; every rank reads and writes its own rows, some at a
 * time, so memory does not grow with the store. */
#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/output.h"
#include "store/store_inner.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const int64_t piece_bytes = INT64_C(32) << 20;

/* One rank's work. */
typedef struct copier {
    trm_output *out;
    trm_store *store;
    const trm_copy_options *options;
    const trm_element *element; /* that rows are written as; NULL: float32 */
    trm_output_place embeddings, labels, id_place;
    int64_t label_bytes, id_bytes; /* of one that is a name, filled up with zeros; 0: numbers */
    trm_ids_kind ids;
    int64_t step;
    float *rows;
    int64_t *label, *id;
    trm_names id_names; /* of the rows at hand */
    char *name;
} copier;

/* ---- types ---- */

/* Types of up to 16 bits hold no value that float32 does not, so they come back from it as they were. */
static const trm_element *type_to_keep(const trm_store *store, double divisor)
{
    const trm_element *first = NULL;
    for (int i = 0; i < store->files; i++) {
        const trm_store_entry *entry = &store->entry[i];
        if (entry->seen.rows == 0)
            continue;
        if (first != NULL &&
            (first->class != entry->embeddings.class || first->stored != entry->embeddings.stored))
            return NULL;
        first = &entry->embeddings;
    }
    const bool small = first != NULL && !first->foreign && first->stored <= 2 &&
                       (first->class == TRM_ELEMENT_FLOAT || first->class == TRM_ELEMENT_SIGNED ||
                        first->class == TRM_ELEMENT_UNSIGNED);
    return small && divisor == 1.0 ? first : NULL;
}

static hid_t half_type(void)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);
    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

/* Of the file; to be closed. */
static hid_t embeddings_type(const trm_element *element)
{
    if (element == NULL)
        return H5Tcopy(H5T_IEEE_F32LE);
    if (element->class == TRM_ELEMENT_FLOAT)
        return half_type();
    if (element->class == TRM_ELEMENT_SIGNED)
        return H5Tcopy(element->stored == 1 ? H5T_STD_I8LE : H5T_STD_I16LE);
    return H5Tcopy(element->stored == 1 ? H5T_STD_U8LE : H5T_STD_U16LE);
}

static hid_t names_type(int64_t bytes)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, (size_t)bytes);
    H5Tset_strpad(type, H5T_STR_NULLPAD);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

/* bytes: of the longest name; 0: they are numbers. */
static hid_t column_type(int64_t bytes, bool is_unsigned)
{
    return bytes > 0 ? names_type(bytes) : H5Tcopy(is_unsigned ? H5T_STD_U64LE : H5T_STD_I64LE);
}

/* A float32 that came from a binary16, as that. */
static uint16_t to_half(float value)
{
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    int exponent = 0;
    const float size = fabsf(value), part = frexpf(size, &exponent);
    if (exponent < -13 || size == 0.0F) /* subnormal, or 0 */
        return (uint16_t)(sign | (uint16_t)ldexpf(size, 24));
    return (uint16_t)(sign | (exponent + 14) << 10 | ((int)ldexpf(part, 11) - 1024));
}

#define NARROW(type, expression)                                                                             \
    do {                                                                                                     \
        type *to = (type *)(void *)value;                                                                    \
        for (int64_t i = 0; i < count; i++) {                                                                \
            const float from = value[i];                                                                     \
            const type now = (expression);                                                                   \
            memcpy(&to[i], &now, sizeof now);                                                                \
        }                                                                                                    \
    } while (0)

/* In place. */
static void narrow(const trm_element *element, float *value, int64_t count)
{
    if (element->class == TRM_ELEMENT_FLOAT)
        NARROW(uint16_t, to_half(from));
    else if (element->class == TRM_ELEMENT_SIGNED && element->stored == 1)
        NARROW(int8_t, (int8_t)from);
    else if (element->class == TRM_ELEMENT_SIGNED)
        NARROW(int16_t, (int16_t)from);
    else if (element->stored == 1)
        NARROW(uint8_t, (uint8_t)from);
    else
        NARROW(uint16_t, (uint16_t)from);
}

/* ---- rows ---- */

/* number: of each in names; NULL: one after the other. */
static trm_status write_names(const copier *c, trm_output_place place, int64_t first, int64_t count,
                              const trm_names *names, const int64_t *number, int64_t bytes, trm_error *err)
{
    memset(c->name, 0, (size_t)(count * bytes));
    for (int64_t i = 0; i < count; i++) {
        int64_t length = 0;
        const char *name = trm_names_get(names, number == NULL ? i : number[i], &length);
        memcpy(c->name + i * bytes, name, (size_t)length);
    }
    return trm_output_write(c->out, place, first, count, c->name, err);
}

static trm_status write_labels(const copier *c, int64_t first, int64_t count, trm_error *err)
{
    return c->label_bytes == 0 ? trm_output_write(c->out, c->labels, first, count, c->label, err)
                               : write_names(c, c->labels, first, count, &c->store->labels.names, c->label,
                                             c->label_bytes, err);
}

static trm_status write_ids(const copier *c, int64_t first, int64_t count, trm_error *err)
{
    return c->ids == TRM_IDS_NAMES
               ? write_names(c, c->id_place, first, count, &c->id_names, NULL, c->id_bytes, err)
               : trm_output_write(c->out, c->id_place, first, count, c->id, err);
}

static trm_status write_rows(const copier *c, int64_t first, int64_t count, trm_error *err)
{
    const int64_t values = count * c->store->dim;
    const float divisor = (float)c->options->divisor;
    for (int64_t i = 0; i < values && c->options->divisor != 1.0; i++)
        c->rows[i] /= divisor;
    if (c->element != NULL)
        narrow(c->element, c->rows, values);
    trm_status status = trm_output_write(c->out, c->embeddings, first * c->store->dim, values, c->rows, err);
    if (status == TRM_OK && c->label != NULL)
        status = write_labels(c, first, count, err);
    if (status == TRM_OK && c->ids != TRM_IDS_NONE)
        status = write_ids(c, first, count, err);
    return status;
}

/* How long names are. */
typedef struct lengths {
    int64_t names, bytes, longest; /* at least 1 */
    int64_t at;                    /* the first that is so long */
} lengths;

/* first: the number of the first of these. */
static void add_lengths(lengths *of, const trm_names *names, int64_t first)
{
    for (int64_t i = 0; i < names->count; i++) {
        int64_t length = 0;
        trm_names_get(names, i, &length);
        if (length > of->longest) {
            of->longest = length;
            of->at = first + i;
        }
        of->bytes += length;
        of->names++;
    }
}

/* All take the room of the longest. Where that makes much of little, it is a text that was taken for a name, or an id. what:
 * it, in words; option: what names it. */
static trm_status check_lengths(const copier *c, const lengths *of, const char *what, const char *option,
                                trm_error *err)
{
    enum { TIMES = 16 };
    static const double bearable = 1e9;
    const double rows = (double)c->store->rows, room = rows * (double)of->longest;
    if (room <= bearable || of->names < 2)
        return TRM_OK;
    const double others = rows * (double)(of->bytes - of->longest) / (double)(of->names - 1);
    if (room <= TIMES * others)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA,
                    "store '%s': %s has %" PRId64
                    " bytes, and in one store all take the room of the longest: "
                    "%.1f GB, where the others need %.3f GB; shorten it, or name others by %s",
                    c->store->entry[0].seen.path, what, of->longest, room / 1e9, others / 1e9, option);
}

static trm_status read_id_names(copier *c, int64_t first, int64_t count, trm_error *err)
{
    c->id_names.count = 0;
    return trm_store_read_names(c->store, first, count, &c->id_names, err);
}

/* Ids that do not fit were measured in a file that has been changed since. */
static trm_status check_ids(const copier *c, trm_error *err)
{
    lengths these = {.longest = c->id_bytes};
    add_lengths(&these, &c->id_names, 0);
    return these.longest == c->id_bytes
               ? TRM_OK
               : trm_fail(err, TRM_ERR_DATA, "store '%s': its ids were changed while they were read",
                          c->store->entry[0].seen.path);
}

static trm_status ask_whether_to_stop(const copier *c, trm_error *err)
{
    int stop = c->options->stop != NULL && c->options->stop();
    MPI_Allreduce(MPI_IN_PLACE, &stop, 1, MPI_INT, MPI_MAX, c->out->comm);
    return stop ? trm_fail(err, TRM_ERR_STOPPED, "stopped on a signal: nothing was written, run again")
                : TRM_OK;
}

/* All ranks go through as many pieces: reading is collective. */
static trm_status copy_rows(copier *c, trm_error *err)
{
    const MPI_Comm comm = c->out->comm;
    int rank = 0, ranks = 0;
    int64_t first, last;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    trm_share(c->store->rows, rank, ranks, &first, &last);
    const int64_t most = (c->store->rows + ranks - 1) / ranks;
    trm_read_options read;
    trm_read_options_init(&read);
    trm_status status = TRM_OK;
    for (int64_t done = 0; done < most && status == TRM_OK; done += c->step) {
        const int64_t from = first + done < last ? first + done : last;
        const int64_t count = last - from < c->step ? last - from : c->step;
        status = trm_store_read(c->store, from, count, &read, c->rows, c->label, c->id, err);
        if (status == TRM_OK && c->ids == TRM_IDS_NAMES)
            status = read_id_names(c, from, count, err);
        if (status == TRM_OK && c->ids == TRM_IDS_NAMES)
            status = trm_agree(comm, check_ids(c, err), err);
        if (status == TRM_OK)
            status = trm_agree(comm, write_rows(c, from, count, err), err);
        if (status == TRM_OK)
            status = ask_whether_to_stop(c, err);
    }
    return status;
}

/* ---- all of it ---- */

static trm_status make_room(copier *c, bool labelled, trm_error *err)
{
    const int dim = c->store->dim;
    const int64_t name = c->label_bytes > c->id_bytes ? c->label_bytes : c->id_bytes;
    const int64_t row = (int64_t)dim * (int64_t)sizeof(float) + name + c->id_bytes;
    c->step = piece_bytes / row > 0 ? piece_bytes / row : 1;
    c->step = c->step < c->store->rows ? c->step : c->store->rows;
    c->rows = trm_alloc(c->step, (size_t)dim * sizeof *c->rows);
    c->label = labelled ? trm_alloc(c->step, sizeof *c->label) : NULL;
    c->id = trm_ids_are_numbers(c->ids) ? trm_alloc(c->step, sizeof *c->id) : NULL;
    c->name = name > 0 ? trm_alloc(c->step, (size_t)name) : NULL;
    trm_status status = TRM_OK;
    if (c->rows == NULL || (labelled && c->label == NULL) || (trm_ids_are_numbers(c->ids) && c->id == NULL) ||
        (name > 0 && c->name == NULL))
        status = trm_fail_memory(err, "rows to copy", c->step, (size_t)row);
    return trm_agree(c->out->comm, status, err);
}

static void free_room(copier *c)
{
    trm_free(c->rows);
    trm_free(c->label);
    trm_free(c->id);
    trm_free(c->name);
    trm_names_free(&c->id_names);
}

static trm_status make_dataset(copier *c, const char *name, hid_t type, int rank, trm_output_place *place,
                               trm_error *err)
{
    const hsize_t size[2] = {(hsize_t)c->store->rows, (hsize_t)c->store->dim};
    const trm_status status = trm_output_dataset(c->out, name, type, rank, size, place, err);
    trm_h5_close(type);
    return status;
}

static trm_status write_file(copier *c, trm_error *err)
{
    enum { MOST = 3 };
    trm_output_check_item item[MOST] = {{"/embeddings", c->store->rows}};
    const trm_attribute attribute = {"format", TRM_ATTRIBUTE_TEXT, "trimine-store", 0, 0.0};
    int items = 1;
    trm_status status = make_dataset(c, "/embeddings", embeddings_type(c->element), 2, &c->embeddings, err);
    if (status == TRM_OK && c->label != NULL) {
        item[items++] = (trm_output_check_item){"/labels", c->store->rows};
        status = make_dataset(c, "/labels",
                              column_type(c->label_bytes, c->store->labels.kind == TRM_LABELS_UNSIGNED), 1,
                              &c->labels, err);
    }
    if (status == TRM_OK && c->ids != TRM_IDS_NONE) {
        item[items++] = (trm_output_check_item){"/ids", c->store->rows};
        status = make_dataset(c, "/ids", column_type(c->id_bytes, c->ids == TRM_IDS_UNSIGNED), 1,
                              &c->id_place, err);
    }
    if (status == TRM_OK)
        status = copy_rows(c, err);
    return status == TRM_OK ? trm_output_commit(c->out, 1, &attribute, items, item, err) : status;
}

/* Of all ranks. Collective. */
static void merge_lengths(MPI_Comm comm, lengths *of)
{
    const int64_t own = of->longest;
    int64_t sums[] = {of->names, of->bytes};
    MPI_Allreduce(MPI_IN_PLACE, sums, 2, MPI_INT64_T, MPI_SUM, comm);
    MPI_Allreduce(MPI_IN_PLACE, &of->longest, 1, MPI_INT64_T, MPI_MAX, comm);
    of->at = own == of->longest ? of->at : INT64_MAX;
    MPI_Allreduce(MPI_IN_PLACE, &of->at, 1, MPI_INT64_T, MPI_MIN, comm);
    of->names = sums[0];
    of->bytes = sums[1];
}

/* How long labels that are names are, which each rank has. Errors: DATA. */
static trm_status measure_labels(copier *c, trm_error *err)
{
    const trm_names *names = &c->store->labels.names;
    lengths all = {.longest = 1};
    char what[64];
    if (c->store->labels.kind != TRM_LABELS_NAMED)
        return TRM_OK;
    add_lengths(&all, names, 0);
    c->label_bytes = all.longest;
    snprintf(what, sizeof what, "label '%.32s...'",
             names->count > 0 ? trm_names_get(names, all.at, NULL) : "");
    return check_lengths(c, &all, what, "--labels", err);
}

/* How long ids are, of which each rank looks at its share. Collective. Errors: DATA, and those of reading. */
static trm_status measure_ids(MPI_Comm comm, copier *c, trm_error *err)
{
    enum { FEW = 1 << 16 };
    int rank = 0, ranks = 0;
    lengths all = {.longest = 1};
    char what[64];
    int64_t first, last;
    trm_status status = TRM_OK;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    trm_share(c->store->rows, rank, ranks, &first, &last);
    const int64_t most = (c->store->rows + ranks - 1) / ranks;
    for (int64_t done = 0; done < most && status == TRM_OK; done += FEW) {
        const int64_t from = first + done < last ? first + done : last;
        status = read_id_names(c, from, last - from < FEW ? last - from : FEW, err);
        add_lengths(&all, &c->id_names, from);
    }
    if (status != TRM_OK)
        return status;
    merge_lengths(comm, &all);
    c->id_bytes = all.longest;
    snprintf(what, sizeof what, "the id of row %" PRId64, all.at);
    return check_lengths(c, &all, what, "--ids", err);
}

static int64_t output_bytes(const copier *c, bool labelled)
{
    const int64_t value = c->element == NULL ? (int64_t)sizeof(float) : c->element->stored;
    const int64_t number = sizeof(int64_t);
    return c->store->rows * (c->store->dim * value +
                             (!labelled            ? 0
                              : c->label_bytes > 0 ? c->label_bytes
                                                   : number) +
                             (c->ids == TRM_IDS_NONE    ? 0
                              : c->ids == TRM_IDS_NAMES ? c->id_bytes
                                                        : number));
}

/* Labels of some rows only would be lost. Errors: DATA. */
static trm_status check_all_labelled(const trm_store *store, trm_error *err)
{
    const char *with = NULL, *without = NULL;
    for (int i = 0; i < store->files; i++) {
        const trm_store_entry *entry = &store->entry[i];
        const char **first = entry->lacks_labels ? &without : &with;
        if (entry->seen.rows > 0 && *first == NULL)
            *first = entry->seen.path;
    }
    return with == NULL || without == NULL
               ? TRM_OK
               : trm_fail(err, TRM_ERR_DATA,
                          "store '%s': has no labels, '%s' has: give those of all rows by --labels, once or "
                          "once for each store",
                          without, with);
}

trm_status trm_store_copy(MPI_Comm comm, trm_claim *claim, trm_store *store, const trm_copy_options *options,
                          trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    int64_t none = 0;
    err = err == NULL ? &own : err;
    const bool labelled = store->entry[0].seen.labels != NULL;
    trm_status status = check_all_labelled(store, err);
    if (status == TRM_OK && labelled) /* what labels are is known from then on */
        status = trm_store_read(store, 0, 0, NULL, NULL, &none, NULL, err);
    if (status != TRM_OK)
        return status;
    trm_h5_handler handler = trm_h5_silence();
    trm_output out = TRM_OUTPUT_INIT;
    copier c = {.out = &out,
                .store = store,
                .options = options,
                .element = type_to_keep(store, options->divisor),
                .ids = store->ids[0]};
    status = measure_labels(&c, err);
    if (status == TRM_OK && c.ids == TRM_IDS_NAMES)
        status = measure_ids(comm, &c, err);
    if (status == TRM_OK)
        status = trm_output_create(comm, claim, output_bytes(&c, labelled), &out, err);
    if (status == TRM_OK)
        status = make_room(&c, labelled, err);
    if (status == TRM_OK)
        status = write_file(&c, err);
    free_room(&c);
    trm_output_close(&out);
    trm_h5_restore(handler);
    return status;
}
