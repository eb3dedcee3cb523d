/* Reading rows: in the file's own type, in pieces, converted and checked piece by piece.
 *
 * A dataset that lies in its file in one piece, as most do, is read as plain bytes, what is chunked or
 * compressed through HDF5, by each rank for itself. MPI-IO is not used: when a read fails, Open MPI's
 * collective one says so on stderr and gives back garbage with success (measured with 4.1.4). After each file
 * the ranks agree, so that a bad value on one ends the read on all with the same message. Stores, packed and
 * index triplets are read by the same code. */
#include "base/alloc.h"
#include "metric/metric.h"
#include "par/agree.h"
#include "store/plain.h"
#include "store/store_inner.h"
#include "trimine/metric.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLACE_TEXT = 64, FILLING_TEXT = 160 };

/* "row 7", or "row 7 negative 2" where rows have items. */
static const char *place_text(const trm_column *col, int64_t item, char text[PLACE_TEXT])
{
    if (col->item_name == NULL)
        snprintf(text, PLACE_TEXT, "row %" PRId64, item);
    else
        snprintf(text, PLACE_TEXT, "row %" PRId64 " %s %" PRId64, item / col->items, col->item_name,
                 item % col->items);
    return text;
}

const char *trm_column_text(const trm_column *column, char text[TRM_COLUMN_TEXT])
{
    text[0] = '\0';
    if (column->name != NULL)
        snprintf(text, TRM_COLUMN_TEXT, "dataset '%s' ", column->name);
    return text;
}

static trm_status refuse_value(const trm_reader *in, const trm_column *col, int64_t item, int64_t place,
                               const float *value)
{
    char where[PLACE_TEXT], of[TRM_COLUMN_TEXT];
    double original = trm_element_value(col->element, in->bounce, place);
    int64_t at = place % col->width;
    place_text(col, item, where);
    if (isfinite(original))
        return trm_fail(in->err, TRM_ERR_DATA,
                        "%s '%s': %s%s has a value (%g) at column %" PRId64 " that does not fit float32",
                        in->kind, in->path, trm_column_text(col, of), where, original, at);
    return trm_fail(in->err, TRM_ERR_DATA, "%s '%s': %s%s has a non-finite value (%s) at column %" PRId64,
                    in->kind, in->path, trm_column_text(col, of), where,
                    isnan(*value)   ? "nan"
                    : *value > 0.0F ? "inf"
                                    : "-inf",
                    at);
}

/* Rows that a thread takes at a time, of so many values each. */
static int64_t batch_of(int width)
{
    enum { VALUES = 1 << 14 };
    return VALUES / width + 1;
}

static int threads_of(const trm_reader *in)
{
    return in->options->threads > 0 ? in->options->threads : 1;
}

static int64_t lesser(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t first_zero_row(const float *x, int64_t count, int width)
{
    for (int64_t i = 0; i < count; i++)
        if (trm_dot(x + i * width, x + i * width, width) == 0.0)
            return i;
    return -1;
}

/* Normalises the rows, or looks for a row of norm 0 only: the first one, or -1. All threads. */
static int64_t take_norms(const trm_reader *in, const trm_column *col, const trm_arrival *piece, float *x)
{
    const int64_t step = batch_of(col->width), none = INT64_MAX;
    double *norms = col->norms == NULL ? NULL : col->norms + piece->done;
    int64_t first_zero = none;
#pragma omp parallel for reduction(min : first_zero) num_threads(threads_of(in))
    for (int64_t row = 0; row < piece->count; row += step) {
        const int64_t count = lesser(step, piece->count - row);
        float *from = x + row * col->width;
        const int64_t zero = in->options->normalize ? trm_normalize(count, col->width, from, from,
                                                                    norms == NULL ? NULL : norms + row)
                                                    : first_zero_row(from, count, col->width);
        if (zero >= 0)
            first_zero = lesser(first_zero, row + zero);
    }
    return first_zero == none ? -1 : first_zero;
}

/* What to think of a row of zeros where there are many. */
static const char *filling(const trm_column *col, const trm_arrival *piece, const float *x, char *text,
                           size_t size)
{
    int64_t zero = 0;
    for (int64_t i = 0; i < piece->count; i++)
        zero += trm_dot(x + i * col->width, x + i * col->width, col->width) == 0.0;
    text[0] = '\0';
    if (zero > 1 && zero > piece->count / 100)
        snprintf(text, size,
                 "; of the %" PRId64 " rows read with it %" PRId64
                 " are zero: it looks as if the %s was laid out and %s filled",
                 piece->count, zero, col->name != NULL ? "dataset" : "file",
                 zero == piece->count ? "never" : "not wholly");
    return text;
}

static trm_status check_norms(const trm_reader *in, const trm_column *col, const trm_arrival *piece, float *x)
{
    char where[PLACE_TEXT], many[FILLING_TEXT], of[TRM_COLUMN_TEXT];
    const bool looks = in->options->normalize || in->options->refuse_zero_norm;
    const int64_t zero = looks ? take_norms(in, col, piece, x) : -1;
    if (zero < 0)
        return TRM_OK;
    return trm_fail(in->err, TRM_ERR_DATA, "%s '%s': %s%s has norm zero, which %s does not allow%s", in->kind,
                    in->path, trm_column_text(col, of), place_text(col, piece->item + zero, where),
                    in->options->normalize ? "--normalize" : "the metric",
                    filling(col, piece, x, many, sizeof many));
}

/* Converts what was read; the first value that is not finite, or -1. All threads. */
static int64_t convert_floats(const trm_reader *in, const trm_column *col, int64_t values, float *out)
{
    const trm_element *element = col->element;
    const int64_t step = batch_of(1), none = INT64_MAX;
    int64_t first_bad = none;
#pragma omp parallel for reduction(min : first_bad) num_threads(threads_of(in))
    for (int64_t from = 0; from < values; from += step) {
        const int64_t count = lesser(step, values - from);
        char *stored = (char *)in->bounce + from * element->size;
        trm_element_order(element, stored, count);
        trm_element_to_float(element, stored, count, out + from);
        int64_t at = 0;
        while (at < count && isfinite(out[from + at]))
            at++;
        if (at < count)
            first_bad = lesser(first_bad, from + at);
    }
    return first_bad == none ? -1 : first_bad;
}

static trm_status accept_floats(const trm_reader *in, const trm_column *col, const trm_arrival *piece)
{
    float *out = col->floats + piece->done * col->width;
    const int64_t bad = convert_floats(in, col, piece->count * col->width, out);
    if (bad >= 0 && !in->options->accept_non_finite)
        return refuse_value(in, col, piece->item + bad / col->width, bad, &out[bad]);
    return check_norms(in, col, piece, out);
}

static trm_status accept_integers(const trm_reader *in, const trm_column *col, const trm_arrival *piece)
{
    char of[TRM_COLUMN_TEXT];
    const int64_t values = piece->count * col->width;
    trm_element_order(col->element, in->bounce, values);
    int64_t bad =
        trm_element_to_int64(col->element, in->bounce, values, col->integers + piece->done * col->width);
    if (bad < 0 || col->element->class == TRM_ELEMENT_SIGNED || col->wraps)
        return TRM_OK;
    return trm_fail(in->err, TRM_ERR_DATA,
                    "%s '%s': %srow %" PRId64 " has the value %" PRIu64 ", which does not fit int64",
                    in->kind, in->path, trm_column_text(col, of), piece->item + bad / col->width,
                    ((const uint64_t *)in->bounce)[bad]);
}

static trm_status accept_names(const trm_reader *in, const trm_column *col, const trm_arrival *piece)
{
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < piece->count && status == TRM_OK; i++) {
        int64_t length = 0;
        const char *text = trm_element_text(col->element, in->bounce, i, &length);
        status = trm_names_append(col->texts, text, length, in->err);
    }
    return status;
}

static trm_status accept(const trm_reader *in, const trm_column *col, const trm_arrival *piece)
{
    if (col->texts != NULL)
        return accept_names(in, col, piece);
    return col->floats != NULL   ? accept_floats(in, col, piece)
           : col->labels != NULL ? trm_labels_accept(in, col, piece)
                                 : accept_integers(in, col, piece);
}

/* The type of a dataset as it is to be in memory: texts of any length become HDF5's own memory. */
static hid_t memory_type(const trm_element *element, hid_t stored)
{
    if (element->class != TRM_ELEMENT_VARIABLE)
        return H5Tcopy(stored);
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, H5T_VARIABLE);
    H5Tset_cset(type, H5Tget_cset(stored));
    return type;
}

/* Through HDF5, for what is stored in chunks, compressed or not stored at all. */
static trm_status read_stored(const trm_reader *in, const trm_column *col, hid_t dataset, hid_t type,
                              const trm_h5_block *block)
{
    hid_t space = H5Dget_space(dataset), into = memory_type(col->element, type);
    hid_t memory = trm_h5_select(space, col->rank, block);
    const herr_t result = memory < 0 ? -1 : H5Dread(dataset, into, memory, space, H5P_DEFAULT, in->bounce);
    trm_h5_close(memory);
    trm_h5_close(space);
    trm_h5_close(into);
    if (result < 0)
        return trm_fail(in->err, TRM_ERR_IO,
                        "%s '%s': reading dataset '%s' rows %" PRId64 " to %" PRId64
                        " failed: damaged, or the disk is",
                        in->kind, in->path, col->name, block->first, block->first + block->rows);
    return TRM_OK;
}

/* Where a dataset lies in the file in one piece; -1: it does not, or is behind a link into another file. */
static int64_t plain_offset(const trm_reader *in, hid_t dataset)
{
    const haddr_t address = H5Dget_offset(dataset);
    if (address == HADDR_UNDEF)
        return -1;
    int *descriptor = NULL;
    struct stat here, there;
    const hid_t file = H5Iget_file_id(dataset);
    const bool same = file >= 0 && H5Fget_vfd_handle(file, H5P_DEFAULT, (void **)&descriptor) >= 0 &&
                      fstat(in->bytes, &here) == 0 && fstat(*descriptor, &there) == 0 &&
                      here.st_dev == there.st_dev && here.st_ino == there.st_ino;
    if (file >= 0)
        H5Fclose(file);
    return same ? (int64_t)address : -1;
}

/* An open dataset, and how it is read. */
typedef struct source {
    hid_t dataset, type;
    int64_t offset; /* as plain_offset */
} source;

static trm_status open_source(const trm_reader *in, const trm_column *col, source *from)
{
    trm_element now;
    char name[TRM_ELEMENT_NAME];
    *from = (source){H5Dopen2(in->file, col->name, H5P_DEFAULT), -1, -1};
    if (from->dataset >= 0)
        from->type = H5Dget_type(from->dataset);
    if (from->type < 0)
        return trm_fail(in->err, TRM_ERR_IO, "%s '%s': dataset '%s' can't be opened", in->kind, in->path,
                        col->name);
    if (!trm_element_recognize(from->type, &now, name) || !trm_element_equal(&now, col->element))
        return trm_fail(in->err, TRM_ERR_DATA, "%s '%s': the file was changed while it was read", in->kind,
                        in->path); /* it is not what rank 0 saw */
    if (col->element->class != TRM_ELEMENT_VARIABLE)
        from->offset = plain_offset(in, from->dataset);
    return trm_labels_begin(in, col, from->dataset);
}

static trm_status read_piece(const trm_reader *in, const trm_column *col, const source *from,
                             const trm_arrival *piece, const trm_h5_block *block)
{
    const int64_t item = (int64_t)col->width * col->element->stored;
    trm_status status = from->offset < 0
                            ? read_stored(in, col, from->dataset, from->type, block)
                            : trm_plain_read(in->bytes, (trm_plain_name){in->kind, in->path}, in->bounce,
                                             piece->count * item, from->offset + piece->item * item, in->err);
    if (status == TRM_OK && col->element->foreign &&
        !trm_element_adopt(col->element, from->type, in->bounce, piece->count * col->width))
        status = trm_fail(in->err, TRM_ERR_DATA, "%s '%s': dataset '%s' has a type that HDF5 can't convert",
                          in->kind, in->path, col->name);
    return status;
}

/* A piece of texts of any length is memory of HDF5's own behind each pointer. */
static void prepare_texts(const trm_reader *in, const trm_column *col, int64_t count)
{
    if (col->element->class == TRM_ELEMENT_VARIABLE)
        memset(in->bounce, 0, (size_t)count * sizeof(char *));
}

static void release_texts(const trm_reader *in, const trm_column *col, int64_t count)
{
    char **text = in->bounce;
    for (int64_t i = 0; i < count && col->element->class == TRM_ELEMENT_VARIABLE; i++)
        H5free_memory(text[i]);
}

/* Bytes of a value, for the size of pieces. How long texts are is known when they are here; so few are read
 * at a time. */
static int64_t piece_size(const trm_element *element)
{
    enum { TEXT_BYTES = 1024 };
    return element->class == TRM_ELEMENT_VARIABLE ? TEXT_BYTES : trm_element_room(element);
}

static trm_status read_column(const trm_reader *in, const trm_column *col, int64_t row, int64_t count)
{
    const trm_h5_pieces all =
        trm_h5_divide(row, count, count, col->items, col->width, piece_size(col->element));
    source from;
    trm_status status = open_source(in, col, &from);
    for (int64_t i = 0; i < all.pieces && status == TRM_OK; i++) {
        trm_arrival piece = {0, 0, 0};
        const trm_h5_block block = trm_h5_piece(&all, i, &piece.done);
        piece.item = block.first * col->items + block.item;
        piece.count = block.rows * block.items;
        if (piece.count == 0)
            continue;
        prepare_texts(in, col, piece.count);
        status = read_piece(in, col, &from, &piece, &block);
        if (status == TRM_OK)
            status = accept(in, col, &piece);
        release_texts(in, col, piece.count);
    }
    status = trm_labels_end(in, col, status);
    trm_h5_close(from.type);
    trm_h5_close(from.dataset);
    return status;
}

/* ---- what is in no dataset ---- */

/* Rows of an outside column that are read at a time. */
static int64_t outside_step(const trm_column *col, int64_t count)
{
    enum { NAMES = 1 << 14 };
    static const int64_t most = INT64_C(64) << 20;
    const int64_t row = col->outside.matrix != NULL ? trm_matrix_room(col->outside.matrix, 1) : 1;
    const int64_t step = col->outside.text != NULL ? NAMES : most / (row > 0 ? row : 1);
    return lesser(step > 1 ? step : 1, count);
}

static int64_t outside_bytes(const trm_column *col, int64_t count)
{
    const int64_t step = outside_step(col, count);
    return col->outside.matrix != NULL ? trm_matrix_room(col->outside.matrix, step)
                                       : step * (int64_t)sizeof(int64_t);
}

/* Takes what has arrived of rows [row, row + count), of which `done` came before. */
static trm_status accept_outside(const trm_reader *in, const trm_column *col, int64_t row, int64_t count,
                                 int64_t done)
{
    const trm_arrival piece = {row, count, done};
    return accept(in, col, &piece);
}

static trm_status read_matrix(const trm_reader *in, const trm_column *col, int64_t row, int64_t count)
{
    const trm_outside *from = &col->outside;
    const trm_named_file about = {in->kind, in->path};
    const int64_t step = outside_step(col, count);
    int file = -1;
    int64_t bytes = 0;
    trm_status status = trm_inspect_regular(&about, &file, &bytes, in->err);
    for (int64_t done = 0; done < count && status == TRM_OK; done += step) {
        const int64_t some = lesser(step, count - done);
        status = trm_matrix_read(&about, from->matrix, file, from->unpacked, row + done, some, in->bounce,
                                 in->err);
        if (status == TRM_OK)
            status = accept_outside(in, col, row + done, some, done);
    }
    if (file >= 0)
        close(file);
    return status;
}

static trm_status read_label_text(const trm_reader *in, const trm_column *col, int64_t row, int64_t count)
{
    const trm_outside *from = &col->outside;
    const trm_named_file about = {in->kind, in->path};
    const int64_t step = outside_step(col, count);
    trm_label_reader *reader = NULL;
    trm_status status = trm_label_reader_begin(&about, from->text, row, &reader, in->err);
    for (int64_t done = 0; done < count && status == TRM_OK; done += step) {
        const int64_t some = lesser(step, count - done);
        status = trm_element_names(col->element)
                     ? trm_label_reader_names(reader, some, in->bounce, in->err)
                     : trm_label_reader_numbers(reader, some, in->bounce, in->err);
        if (status == TRM_OK)
            status = accept_outside(in, col, row + done, some, done);
    }
    trm_label_reader_end(&reader);
    return status;
}

/* Messages are about that file meanwhile. */
static trm_status read_outside(trm_reader *in, const trm_column *col, int64_t row, int64_t count)
{
    const trm_outside *from = &col->outside;
    const char *kind = in->kind, *path = in->path;
    in->kind = from->kind;
    in->path = from->path;
    const trm_status status = from->matrix != NULL ? read_matrix(in, col, from->first + row, count)
                                                   : read_label_text(in, col, from->first + row, count);
    in->kind = kind;
    in->path = path;
    return status;
}

int64_t trm_column_bytes(const trm_column *column, int64_t count)
{
    if (column->outside.path != NULL)
        return outside_bytes(column, count);
    const trm_h5_pieces all =
        trm_h5_divide(0, count, count, column->items, column->width, piece_size(column->element));
    return trm_h5_piece_bytes(&all, trm_element_room(column->element));
}

trm_status trm_reader_begin(trm_reader *in, int64_t bytes)
{
    static const trm_read_options defaults = {.normalize = false};
    trm_status status = TRM_OK;
    in->options = in->options == NULL ? &defaults : in->options;
    in->file = in->bytes = -1;
    in->bounce = trm_alloc(bytes, 1);
    if (in->bounce == NULL)
        status = trm_fail_memory(in->err, "a read buffer", bytes, 1);
    return trm_agree(in->comm, status, in->err);
}

/* The HDF5 file, with the first column that is in it. */
static trm_status open_both(trm_reader *in)
{
    char why[256] = {0};
    if (in->file >= 0)
        return TRM_OK;
    in->bytes = open(in->path, O_RDONLY | O_CLOEXEC);
    if (in->bytes < 0)
        return trm_fail(in->err, trm_status_of_errno(errno), "%s '%s': %s", in->kind, in->path,
                        strerror(errno));
    in->file = trm_h5_open_serial(in->path, why, sizeof why);
    if (in->file < 0)
        return trm_fail(in->err, TRM_ERR_DATA, "%s '%s': can't be opened (%s)", in->kind, in->path, why);
    return TRM_OK;
}

trm_status trm_reader_read(trm_reader *in, const char *path, int columns, const trm_column *column,
                           int64_t row, int64_t count)
{
    trm_status status = TRM_OK;
    in->path = path;
    for (int c = 0; c < columns && count > 0 && status == TRM_OK; c++) {
        const bool outside = column[c].outside.path != NULL;
        status = outside ? TRM_OK : open_both(in);
        if (status == TRM_OK)
            status =
                outside ? read_outside(in, &column[c], row, count) : read_column(in, &column[c], row, count);
    }
    if (in->file >= 0)
        H5Fclose(in->file);
    if (in->bytes >= 0)
        close(in->bytes);
    in->file = in->bytes = -1;
    return trm_agree(in->comm, status, in->err);
}

void trm_reader_end(trm_reader *in)
{
    trm_free(in->bounce);
}

/* Where one rank's rows of a store go. */
typedef struct target {
    float *embeddings;
    double *norms;
    int64_t *labels, *ids;
    trm_names *names; /* of ids */
} target;

enum { STORE_COLUMNS = 3 };

/* What the labels of a store's files become. */
typedef struct translation {
    trm_label_column labels;
} translation;

/* Labels or ids, in the file of the rows or in one of their own. */
static trm_column side_column(trm_store *store, const trm_store_entry *entry, trm_side_kind kind,
                              const trm_element *element, const char *name)
{
    static const char *const kinds[TRM_SIDES] = {"labels", "ids"};
    trm_column column = {.element = element, .rank = 1, .items = 1, .width = 1};
    if (entry->side[kind] < 0) {
        column.name = name;
        return column;
    }
    const trm_side_file *file = &store->side[entry->side[kind]];
    const bool is_matrix = file->matrix.name[0] != '\0';
    column.outside = (trm_outside){.kind = kinds[kind],
                                   .path = file->path,
                                   .matrix = is_matrix ? &file->matrix : NULL,
                                   .text = is_matrix ? NULL : &file->text,
                                   .first = entry->seen.first - file->first,
                                   .unpacked = &store->unpacked[kind]};
    return column;
}

trm_column trm_store_label_column(trm_store *store, const trm_store_entry *entry, trm_label_column *labels)
{
    trm_column column = side_column(store, entry, TRM_SIDE_LABELS, &entry->labels, entry->seen.labels);
    column.labels = labels;
    return column;
}

/* ids: of numbers. */
static trm_column ids_column(trm_store *store, const trm_store_entry *entry, const target *to, int64_t place)
{
    trm_column column = side_column(store, entry, TRM_SIDE_IDS, &entry->ids, entry->seen.ids);
    column.texts = to->names;
    column.integers = to->names == NULL ? to->ids + place : NULL;
    column.wraps = store->ids[entry->seen.queries] == TRM_IDS_UNSIGNED;
    return column;
}

static trm_column embeddings_column(trm_store *store, const trm_store_entry *entry)
{
    trm_column column = {.element = &entry->embeddings, .rank = 2, .items = 1, .width = store->dim};
    if (entry->matrix.name[0] == '\0')
        column.name = entry->seen.embeddings;
    else
        column.outside = (trm_outside){.kind = trm_file_kind(&entry->seen),
                                       .path = entry->seen.path,
                                       .matrix = &entry->matrix,
                                       .unpacked = &store->unpacked[TRM_SIDES]};
    return column;
}

/* The columns of a file of a store, going to place of the target; the number of them. */
static int store_columns(trm_store *store, const trm_store_entry *entry, const target *to, int64_t place,
                         translation *as, trm_column column[STORE_COLUMNS])
{
    int columns = 0;
    *as = (translation){
        .labels = {.names = store->labels.kind == TRM_LABELS_NAMED ? &store->labels.names : NULL}};
    if (to->embeddings != NULL) {
        trm_column *rows = &column[columns++];
        *rows = embeddings_column(store, entry);
        rows->floats = to->embeddings + place * store->dim;
        rows->norms = to->norms == NULL ? NULL : to->norms + place;
    }
    if (to->labels != NULL) {
        column[columns] = trm_store_label_column(store, entry, &as->labels);
        column[columns++].integers = to->labels + place;
    }
    const trm_ids_kind ids = store->ids[entry->seen.queries];
    if ((to->ids != NULL && trm_ids_are_numbers(ids)) || (to->names != NULL && ids == TRM_IDS_NAMES))
        column[columns++] = ids_column(store, entry, to, place);
    return columns;
}

int64_t trm_store_overlap(const trm_store_file *file, int64_t first, int64_t count, int64_t *from)
{
    *from = first > file->first ? first : file->first;
    int64_t last = first + count < file->first + file->rows ? first + count : file->first + file->rows;
    return last > *from ? last - *from : 0;
}

static trm_status read_files(trm_store *store, trm_reader *in, int64_t first, int64_t count, const target *to)
{
    trm_status status = TRM_OK;
    for (int i = 0; i < store->files && status == TRM_OK; i++) {
        const trm_store_file *file = &store->entry[i].seen;
        int64_t from = 0;
        const int64_t mine = trm_store_overlap(file, first, count, &from);
        translation as;
        trm_column column[STORE_COLUMNS];
        const int columns =
            store_columns(store, &store->entry[i], to, mine > 0 ? from - first : 0, &as, column);
        in->kind = trm_file_kind(file);
        status = trm_reader_read(in, file->path, columns, column, from - file->first, mine);
    }
    return status;
}

/* Bytes of the largest piece of any dataset for this rank. */
static int64_t store_bytes(trm_store *store, int64_t count, const target *to)
{
    int64_t bytes = 1;
    for (int i = 0; i < store->files; i++) {
        translation as;
        trm_column column[STORE_COLUMNS];
        const trm_store_entry *entry = &store->entry[i];
        const int columns = store_columns(store, entry, to, 0, &as, column);
        for (int c = 0; c < columns; c++) {
            const int64_t need = trm_column_bytes(&column[c], count);
            bytes = need > bytes ? need : bytes;
        }
    }
    return bytes;
}

int64_t trm_store_read_bytes(const trm_store *store, int64_t count)
{
    int64_t bytes = 0;
    for (int i = 0; i < store->files; i++) {
        const trm_store_entry *entry = &store->entry[i];
        trm_column rows = {.element = &entry->embeddings, .items = 1, .width = store->dim};
        if (entry->matrix.name[0] != '\0')
            rows.outside = (trm_outside){.path = entry->seen.path, .matrix = &entry->matrix};
        const int64_t need = trm_column_bytes(&rows, count);
        bytes = need > bytes ? need : bytes;
    }
    return bytes;
}

/* Row ids, where a set has no numbers for ids. */
static void number_rows(const trm_store *store, int64_t first, int64_t count, int64_t *ids)
{
    for (int64_t i = 0; i < count; i++)
        if (!trm_ids_are_numbers(store->ids[first + i >= store->base_rows]))
            ids[i] = first + i;
}

/* A change meanwhile is also the better reason of what has failed: a file that became shorter is not damaged. status: the
 * same on all ranks. */
static trm_status check_unchanged(trm_store *store, trm_status status, trm_error *err)
{
    trm_error why = TRM_ERROR_INIT;
    int rank = 0;
    MPI_Comm_rank(store->comm, &rank);
    const bool looks = rank == 0 && (status == TRM_OK || status == TRM_ERR_DATA);
    const trm_status unchanged = trm_agree(
        store->comm, looks ? trm_sources_check_unchanged(&store->sources, "store", &why) : TRM_OK, &why);
    if (unchanged != TRM_OK)
        *err = why;
    return unchanged != TRM_OK ? unchanged : status;
}

/* Collective; what is wanted is the same on all ranks. */
static trm_status read_rows(trm_store *store, int64_t first, int64_t count, const trm_read_options *options,
                            const target *to, trm_error *err)
{
    trm_status status = TRM_OK;
    if (first < 0 || count < 0 || first > store->rows - count)
        status =
            trm_fail(err, TRM_ERR_INTERNAL, "rows %" PRId64 " to %" PRId64 " asked of a store of %" PRId64,
                     first, first + count, store->rows);
    status = trm_agree(store->comm, status, err);
    if (status != TRM_OK)
        return status;
    trm_h5_handler handler = trm_h5_silence();
    if (to->labels != NULL)
        status = trm_labels_settle(store, err);
    trm_reader in = {.comm = store->comm, .kind = "store", .options = options, .err = err};
    if (status == TRM_OK)
        status = trm_reader_begin(&in, store_bytes(store, count, to));
    if (status == TRM_OK)
        status = read_files(store, &in, first, count, to);
    status = check_unchanged(store, status, err);
    trm_reader_end(&in);
    trm_h5_restore(handler);
    return status;
}

trm_status trm_store_read(trm_store *store, int64_t first, int64_t count, const trm_read_options *given,
                          float *embeddings, int64_t *labels, int64_t *ids, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    trm_read_options options;
    err = err == NULL ? &own : err;
    trm_status status = trm_agree(store->comm, trm_read_options_take(&options, given, err), err);
    if (status != TRM_OK)
        return status;
    const target to = {embeddings, options.norms, labels, ids, NULL};
    status = read_rows(store, first, count, &options, &to, err);
    if (status == TRM_OK && ids != NULL)
        number_rows(store, first, count, ids);
    return status;
}

trm_ids_kind trm_store_ids(const trm_store *store, bool queries)
{
    return store->ids[queries];
}

trm_status trm_store_read_names(trm_store *store, int64_t first, int64_t count, trm_names *names,
                                trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    trm_read_options options;
    trm_read_options_init(&options);
    const target to = {.names = names};
    return read_rows(store, first, count, &options, &to, err == NULL ? &own : err);
}
