/* The forms of a result; see forms.h. */
#include "store/forms.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Values a write buffer holds: as many as there are, but not fewer and not more than this. */
enum { LEAST_VALUES = 1 << 13, MOST_VALUES = 1 << 20 };

/* How a column is stored; all but the kind is eight bytes of a trm_triplet. */
static const struct column {
    size_t offset;
    enum { COLUMN_INT, COLUMN_FLOAT, COLUMN_KIND } type;
} columns[TRM_COLUMNS] = {
    [TRM_COLUMN_ANCHOR] = {offsetof(trm_triplet, anchor), COLUMN_INT},
    [TRM_COLUMN_POSITIVE] = {offsetof(trm_triplet, positive), COLUMN_INT},
    [TRM_COLUMN_NEGATIVE] = {offsetof(trm_triplet, negative), COLUMN_INT},
    [TRM_COLUMN_D_AP] = {offsetof(trm_triplet, d_ap), COLUMN_FLOAT},
    [TRM_COLUMN_D_AN] = {offsetof(trm_triplet, d_an), COLUMN_FLOAT},
    [TRM_COLUMN_KIND] = {offsetof(trm_triplet, kind), COLUMN_KIND},
    [TRM_COLUMN_RANK] = {offsetof(trm_triplet, rank), COLUMN_INT},
};

/* Places of a line that no negative came to. */
static const int64_t no_row = -1;
static const double no_distance = INFINITY;

static const trm_word words[] = {
    {.name = "triplets", .about = "one triplet a line", .value = TRM_FORM_TRIPLETS},
    {.name = "lists", .about = "all negatives of a pair in one line", .value = TRM_FORM_LISTS},
};
const trm_words trm_form_words = TRM_WORDS("trm_form", words);

static const struct form {
    const char *group, *format;
    const char *path[TRM_COLUMNS]; /* NULL: this form has none */
    const char *starts;            /* dataset of where each anchor's lines begin, or NULL */
    const char *batch;             /* of batches: dataset of each line's batch */
} forms[] = {
    [TRM_FORM_TRIPLETS] = {"/triplets",
                           "trimine-triplets",
                           {[TRM_COLUMN_ANCHOR] = "/triplets/anchor",
                            [TRM_COLUMN_POSITIVE] = "/triplets/positive",
                            [TRM_COLUMN_NEGATIVE] = "/triplets/negative",
                            [TRM_COLUMN_D_AP] = "/triplets/d_ap",
                            [TRM_COLUMN_D_AN] = "/triplets/d_an",
                            [TRM_COLUMN_KIND] = "/triplets/kind",
                            [TRM_COLUMN_RANK] = "/triplets/rank"},
                           "/triplets/anchor_start",
                           "/triplets/batch"},
    [TRM_FORM_LISTS] = {"/lists",
                        "trimine-lists",
                        {[TRM_COLUMN_ANCHOR] = "/lists/anchor",
                         [TRM_COLUMN_POSITIVE] = "/lists/positive",
                         [TRM_COLUMN_NEGATIVE] = "/lists/negative",
                         [TRM_COLUMN_D_AP] = "/lists/d_ap",
                         [TRM_COLUMN_D_AN] = "/lists/d_an"},
                        NULL,
                        "/lists/batch"},
};

const char *trm_form_name(trm_form form)
{
    return trm_word_name(&trm_form_words, (int)form);
}

const char *trm_form_format(trm_form form)
{
    return forms[form].format;
}

const char *trm_form_path(trm_form form, trm_form_column column)
{
    return forms[form].path[column];
}

bool trm_form_begins(trm_form form, const trm_triplet *triplet)
{
    return form == TRM_FORM_TRIPLETS || triplet->rank == 1;
}

/* ---- sizes ---- */

/* Does a line have K values of it, not one? */
static bool is_wide(trm_form form, int column)
{
    return form == TRM_FORM_LISTS && (column == TRM_COLUMN_NEGATIVE || column == TRM_COLUMN_D_AN);
}

static int64_t values_a_line(trm_form form, int64_t negatives, int column)
{
    return is_wide(form, column) ? negatives : 1;
}

static int64_t bytes_a_value(int column)
{
    return columns[column].type == COLUMN_KIND ? 1 : 8;
}

/* Has the file a dataset of where each anchor's lines begin? */
static bool has_starts(const trm_form_writer *writer)
{
    return forms[writer->form].starts != NULL && !writer->batched;
}

int64_t trm_form_file_bytes(const trm_form_writer *writer)
{
    int64_t line = writer->batched ? 8 : 0;
    for (int c = 0; c < TRM_COLUMNS; c++)
        if (forms[writer->form].path[c] != NULL)
            line += values_a_line(writer->form, writer->negatives, c) * bytes_a_value(c);
    return line * writer->lines + (has_starts(writer) ? 8 * (writer->anchors + 1) : 0);
}

static int64_t least_values(trm_form form, int64_t negatives)
{
    const int64_t widest = values_a_line(form, negatives, TRM_COLUMN_NEGATIVE);
    return widest > LEAST_VALUES ? widest : LEAST_VALUES;
}

int64_t trm_form_buffer_bytes(trm_form form, int64_t negatives)
{
    return 8 * least_values(form, negatives);
}

/* ---- datasets ---- */

static trm_status create_column(trm_form_writer *writer, int column, trm_error *err)
{
    const char *path = forms[writer->form].path[column];
    const hid_t type = columns[column].type == COLUMN_INT     ? H5T_STD_I64LE
                       : columns[column].type == COLUMN_FLOAT ? H5T_IEEE_F64LE
                                                              : H5T_STD_U8LE;
    const hsize_t size[] = {(hsize_t)writer->lines, (hsize_t)writer->negatives};
    return trm_output_dataset(writer->out, path, type, is_wide(writer->form, column) ? 2 : 1, size,
                              &writer->place[column], err);
}

/* Makes the datasets. */
static trm_status create(trm_form_writer *writer, trm_error *err)
{
    static const trm_attribute kinds = {"kinds", TRM_ATTRIBUTE_TEXT, "0 semihard, 1 fallback", 0, 0.0};
    const struct form *form = &forms[writer->form];
    const hsize_t starts = (hsize_t)writer->anchors + 1, lines = (hsize_t)writer->lines;
    writer->written = 0;
    trm_status status = trm_output_group(writer->out, form->group, err);
    for (int c = 0; c < TRM_COLUMNS && status == TRM_OK; c++)
        if (form->path[c] != NULL)
            status = create_column(writer, c, err);
    if (status == TRM_OK && form->path[TRM_COLUMN_KIND] != NULL)
        status = trm_output_attribute(writer->out, form->path[TRM_COLUMN_KIND], &kinds, err);
    if (status == TRM_OK && has_starts(writer))
        status =
            trm_output_dataset(writer->out, form->starts, H5T_STD_I64LE, 1, &starts, &writer->starts, err);
    if (status == TRM_OK && writer->batched)
        status = trm_output_dataset(writer->out, form->batch, H5T_STD_I64LE, 1, &lines, &writer->batch, err);
    return status;
}

/* What must be found again in the finished file. */
enum { ITEMS = TRM_COLUMNS + 2 };
static int items_of(const trm_form_writer *writer, trm_output_check_item item[ITEMS])
{
    const struct form *form = &forms[writer->form];
    int items = 0;
    for (int c = 0; c < TRM_COLUMNS; c++)
        if (form->path[c] != NULL)
            item[items++] = (trm_output_check_item){form->path[c], writer->lines};
    if (has_starts(writer))
        item[items++] = (trm_output_check_item){form->starts, writer->anchors + 1};
    if (writer->batched)
        item[items++] = (trm_output_check_item){form->batch, writer->lines};
    return items;
}

/* ---- order ---- */

static int compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_pairs(const trm_triplet *x, const trm_triplet *y)
{
    return x->anchor != y->anchor ? compare(x->anchor, y->anchor) : compare(x->positive, y->positive);
}

static int by_negative(const void *a, const void *b)
{
    const trm_triplet *x = a, *y = b;
    const int pairs = compare_pairs(x, y);
    return pairs != 0 ? pairs : compare(x->negative, y->negative);
}

static int by_rank(const void *a, const void *b)
{
    const trm_triplet *x = a, *y = b;
    const int pairs = compare_pairs(x, y);
    return pairs != 0 ? pairs : compare(x->rank, y->rank);
}

static void sort(trm_triplet *triplets, int64_t count, int (*order)(const void *, const void *))
{
    for (int64_t i = 1; i < count; i++)
        if (order(&triplets[i - 1], &triplets[i]) > 0) {
            qsort(triplets, (size_t)count, sizeof *triplets, order);
            return;
        }
}

/* Counts the lines; of lists it sees to it that each has its ranks 1, 2, ..., at most K. */
static trm_status count_lines(const trm_form_writer *writer, const trm_triplet *triplets, int64_t count,
                              int64_t *lines, trm_error *err)
{
    *lines = 0;
    for (int64_t i = 0; i < count; i++) {
        const bool follows = i > 0 && compare_pairs(&triplets[i - 1], &triplets[i]) == 0;
        const int64_t rank = follows ? triplets[i - 1].rank + 1 : 1;
        if (writer->form == TRM_FORM_LISTS && (triplets[i].rank != rank || rank > writer->negatives))
            return trm_fail(err, TRM_ERR_INTERNAL,
                            "output '%s': negative %" PRId64 " of anchor %" PRId64 " and positive %" PRId64
                            " has rank %" PRId64 ", not %" PRId64 " of %" PRId64,
                            writer->out->draft.claim->path, triplets[i].negative, triplets[i].anchor,
                            triplets[i].positive, triplets[i].rank, rank, writer->negatives);
        *lines += trm_form_begins(writer->form, &triplets[i]);
    }
    return TRM_OK;
}

/* ---- values ---- */

static void make_empty(int column, int64_t count, void *values)
{
    const void *empty = columns[column].type == COLUMN_FLOAT ? (const void *)&no_distance : &no_row;
    for (int64_t i = 0; i < count; i++)
        memcpy((char *)values + 8 * i, empty, 8);
}

/* A column's values of at most lines lines, the first of which the first triplet begins; *taken: how many
 * triplets they are of. */
static int64_t extract(const trm_form_writer *writer, int column, const trm_triplet *triplets, int64_t count,
                       int64_t lines, void *values, int64_t *taken)
{
    const int64_t width = values_a_line(writer->form, writer->negatives, column);
    const size_t bytes = (size_t)bytes_a_value(column);
    int64_t line = -1, i = 0;
    if (width > 1)
        make_empty(column, lines * width, values);
    for (; i < count; i++) {
        line += trm_form_begins(writer->form, &triplets[i]);
        if (line == lines)
            break;
        const int64_t slot = line * width + (width > 1 ? triplets[i].rank - 1 : 0);
        const uint8_t kind = (uint8_t)triplets[i].kind;
        const void *value = columns[column].type == COLUMN_KIND
                                ? (const void *)&kind
                                : (const char *)&triplets[i] + columns[column].offset;
        memcpy((char *)values + bytes * (size_t)slot, value, bytes);
    }
    *taken = i;
    return i < count ? lines : line + 1;
}

/* The batch of each line, of which triplet from of the batches begins the first. */
static void extract_batches(const trm_form_writer *writer, trm_form_batches batches,
                            const trm_triplet *triplets, int64_t from, int64_t to, int64_t *values)
{
    int64_t b = 0, line = 0;
    for (int64_t i = from; i < to; i++) {
        while (batches.start[b + 1] - batches.start[0] <= i)
            b++;
        if (trm_form_begins(writer->form, &triplets[i]))
            values[line++] = batches.first + b;
    }
}

/* batches: those of the triplets, or of none. */
static trm_status write_columns(trm_form_writer *writer, const trm_triplet *triplets, int64_t count,
                                trm_form_batches batches, int64_t first, void *values, int64_t room,
                                trm_error *err)
{
    const int64_t widest = values_a_line(writer->form, writer->negatives, TRM_COLUMN_NEGATIVE);
    const int64_t most = room / widest;
    trm_status status = TRM_OK;
    for (int64_t from = 0, taken = 0, lines = 0; from < count && status == TRM_OK; from += taken) {
        for (int c = 0; c < TRM_COLUMNS && status == TRM_OK; c++) {
            const int64_t width = values_a_line(writer->form, writer->negatives, c);
            if (forms[writer->form].path[c] == NULL)
                continue;
            lines = extract(writer, c, triplets + from, count - from, most, values, &taken);
            status =
                trm_output_write(writer->out, writer->place[c], first * width, lines * width, values, err);
        }
        if (status == TRM_OK && writer->batched) {
            extract_batches(writer, batches, triplets, from, from + taken, values);
            status = trm_output_write(writer->out, writer->batch, first, lines, values, err);
        }
        first += lines;
    }
    return status;
}

/* Where the lines of each anchor of [from, to) begin, the first of them at line first. */
static trm_status write_starts(trm_form_writer *writer, const trm_triplet *triplets, int64_t count,
                               int64_t first, int64_t from, int64_t to, int64_t *values, int64_t room,
                               trm_error *err)
{
    trm_status status = TRM_OK;
    for (int64_t i = 0, now = 0; from < to && status == TRM_OK; from += now) {
        now = to - from < room ? to - from : room;
        for (int64_t k = 0; k < now; k++) {
            while (i < count && triplets[i].anchor < from + k)
                i++;
            values[k] = first + i;
        }
        status = trm_output_write(writer->out, writer->starts, from, now, values, err);
    }
    return status;
}

/* Values of a buffer for the columns of so many triplets. */
static int64_t room_for(const trm_form_writer *writer, int64_t count)
{
    const int64_t least = least_values(writer->form, writer->negatives);
    const int64_t wanted = count < MOST_VALUES ? count : MOST_VALUES;
    return wanted > least ? wanted : least;
}

/* Sorts triplets and counts their lines. */
static trm_status put_in_order(const trm_form_writer *writer, trm_triplet *triplets, int64_t count,
                               int64_t *lines, trm_error *err)
{
    sort(triplets, count, writer->form == TRM_FORM_LISTS ? by_rank : by_negative);
    return count_lines(writer, triplets, count, lines, err);
}

trm_status trm_form_write(trm_form_writer *writer, trm_triplet *triplets, int64_t count, int64_t from,
                          int64_t to, trm_error *err)
{
    MPI_Comm comm = writer->out->comm;
    const int64_t room = room_for(writer, count);
    const trm_form_batches none = {0, 0, NULL};
    int64_t lines = 0;
    trm_status status = put_in_order(writer, triplets, count, &lines, err);
    void *values = trm_alloc(room, 8);
    if (status == TRM_OK && values == NULL)
        status = trm_fail_memory(err, "a write buffer", room, 8);
    status = trm_agree(comm, status, err);
    const int64_t first = writer->written + trm_prefix_int64(comm, lines);
    writer->written += trm_sum_int64(comm, lines);
    if (status == TRM_OK)
        status = write_columns(writer, triplets, count, none, first, values, room, err);
    if (status == TRM_OK && has_starts(writer))
        status = write_starts(writer, triplets, count, first, from, to, values, room, err);
    trm_free(values);
    return trm_agree(comm, status, err);
}

trm_status trm_form_write_batches(trm_form_writer *writer, trm_triplet *triplets, trm_form_batches batches,
                                  int64_t *line, trm_error *err)
{
    const int64_t *start = batches.start, count = start[batches.count] - start[0];
    const int64_t room = room_for(writer, count);
    int64_t all = 0, lines = 0;
    void *values = trm_alloc(room, 8);
    trm_status status = values == NULL ? trm_fail_memory(err, "a write buffer", room, 8) : TRM_OK;
    for (int64_t b = 0; b < batches.count && status == TRM_OK; b++, all += lines)
        status = put_in_order(writer, start[b] > start[0] ? triplets + (start[b] - start[0]) : triplets,
                              start[b + 1] - start[b], &lines, err);
    if (status == TRM_OK)
        status = write_columns(writer, triplets, count, batches, *line, values, room, err);
    *line += all;
    trm_free(values);
    return status;
}

trm_status trm_form_result(MPI_Comm comm, trm_claim *claim, trm_form_writer *writer, trm_form_fill_fn fill,
                           void *context, int arrays, const trm_output_array *array, const trm_names *names,
                           int attributes, const trm_attribute *attribute, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    trm_h5_handler handler = trm_h5_silence();
    trm_output out = TRM_OUTPUT_INIT;
    writer->out = &out;
    trm_status status = trm_output_create(
        comm, claim,
        trm_form_file_bytes(writer) + trm_output_arrays_bytes(arrays, array) + trm_output_names_bytes(names),
        &out, err);
    if (status == TRM_OK)
        status = create(writer, err);
    if (status == TRM_OK)
        status = fill(context, writer, err);
    if (status == TRM_OK)
        status = trm_output_arrays_write(&out, arrays, array, err);
    if (status == TRM_OK) {
        trm_output_check_item item[ITEMS];
        const int items = items_of(writer, item);
        status =
            trm_output_arrays_commit(&out, items, item, arrays, array, names, attributes, attribute, err);
    }
    trm_output_close(&out);
    trm_h5_restore(handler);
    return status;
}
