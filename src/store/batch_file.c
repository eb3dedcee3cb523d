/* Writing and reading batches; see batch_file.h.
 *
 * Rank order is the order of the batches: so every rank writes what it has where the lower ranks leave off, and
 * nothing has to be exchanged. */
#include "store/batch_file.h"

#include "base/alloc.h"
#include "base/order.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/batch_text.h"
#include "store/forms.h"
#include "store/result_root.h"
#include "store/store_inner.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char start_name[] = "/batches/start", row_name[] = "/batches/row";

/* ---- triplets ---- */

enum { BUFFER_BYTES_A_TRIPLET = 8, BUFFER_BYTES_MOST = 8 << 20 }; /* of a column while it is written */

static trm_status make_room(trm_batch_triplets *t, int64_t more, trm_error *err)
{
    const int64_t bytes = (t->count + more) * (int64_t)(sizeof(trm_triplet) + BUFFER_BYTES_A_TRIPLET);
    if (t->budget > 0 && bytes > t->budget)
        return trm_fail(
            err, TRM_ERR_MEMORY,
            "the triplets of all batches need more than the %.0f MB a rank that the limit leaves: give "
            "a larger %s, use more ranks or fewer batches",
            (double)t->budget / 1e6, t->limit);
    if (t->blocks < t->room)
        return TRM_OK;
    const int64_t room = 2 * t->room + 8;
    struct trm_batch_block *larger = trm_grown(t->block, t->blocks, room, sizeof *larger);
    if (larger == NULL)
        return trm_fail_memory(err, "triplets of batches", room, sizeof *larger);
    t->block = larger;
    t->room = room;
    return TRM_OK;
}

trm_status trm_batch_triplets_add(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    trm_batch_triplets *t = context;
    if (count == 0)
        return TRM_OK;
    trm_status status = make_room(t, count, err);
    if (status != TRM_OK)
        return status;
    t->block[t->blocks++] = (struct trm_batch_block){*triplets, count};
    t->count += count;
    *triplets = NULL;
    return TRM_OK;
}

trm_status trm_batch_triplets_walk(void *triplets,
                                   void (*look)(void *looker, const trm_triplet *triplets, int64_t count),
                                   void *looker, trm_error *err)
{
    const trm_batch_triplets *t = triplets;
    (void)err;
    for (int64_t i = 0; i < t->blocks; i++)
        look(looker, t->block[i].triplets, t->block[i].count);
    return TRM_OK;
}

int64_t trm_batch_triplets_bytes(trm_form form, int64_t negatives, int64_t triplets)
{
    const int64_t buffer = triplets * BUFFER_BYTES_A_TRIPLET;
    return triplets * (int64_t)sizeof(trm_triplet) +
           (buffer < BUFFER_BYTES_MOST ? buffer : BUFFER_BYTES_MOST) + trm_form_buffer_bytes(form, negatives);
}

void trm_batch_triplets_free(trm_batch_triplets *t)
{
    for (int64_t i = 0; i < t->blocks; i++)
        trm_free(t->block[i].triplets);
    trm_free(t->block);
    *t = (trm_batch_triplets){.budget = t->budget};
}

/* ---- writing ---- */

enum { LISTS = 2 };

/* Where this rank's part of an array is, as all are laid out: rank by rank. Collective. */
static trm_output_array column_of(MPI_Comm comm, const char *name, trm_array_type type, int64_t count,
                                  const void *data)
{
    const int64_t first = trm_prefix_int64(comm, count), all = trm_sum_int64(comm, count);
    return (trm_output_array){
        .name = name, .rank = 1, .size = {all}, .first = first, .count = count, .data = data, .type = type};
}

/* starts: count + 1, those of this rank in the whole file; only the last rank writes its last one. */
static void list_arrays(MPI_Comm comm, const trm_batches *batches, int64_t *starts, trm_output_array *array)
{
    int rank = 0, ranks = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    const int64_t rows = batches->count > 0 ? batches->start[batches->count] : 0;
    const int64_t before = trm_prefix_int64(comm, rows);
    for (int64_t b = 0; b <= batches->count; b++)
        starts[b] = before + (batches->count > 0 ? batches->start[b] : 0);
    array[0] = column_of(comm, start_name, TRM_ARRAY_INT64, batches->count + (rank == ranks - 1), starts);
    array[1] = column_of(comm, row_name, TRM_ARRAY_INT64, rows, batches->row);
}

trm_status trm_batches_write(MPI_Comm comm, trm_claim *claim, const trm_batches *batches, int attributes,
                             const trm_attribute *attribute, trm_error *err)
{
    trm_output_array array[LISTS];
    int64_t *starts = trm_alloc(batches->count + 1, sizeof *starts);
    trm_status status = starts == NULL
                            ? trm_fail_memory(err, "the list of batches", batches->count + 1, sizeof *starts)
                            : TRM_OK;
    status = trm_agree(comm, status, err);
    if (status == TRM_OK) {
        list_arrays(comm, batches, starts, array);
        status = trm_gradient_write(comm, claim, LISTS, array, NULL, attributes, attribute, err);
    }
    trm_free(starts);
    return status;
}

/* What fill needs. */
typedef struct batched {
    const trm_batches *batches;
    trm_batch_triplets *triplets;
    int64_t lines;
} batched;

/* Block by block. A trm_form_fill_fn. */
static trm_status fill(void *context, trm_form_writer *writer, trm_error *err)
{
    const batched *all = context;
    const trm_batches *batches = all->batches;
    MPI_Comm comm = writer->out->comm;
    const int64_t first = trm_prefix_int64(comm, batches->count);
    int64_t line = trm_prefix_int64(comm, all->lines), from = 0, at = 0;
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < all->triplets->blocks && status == TRM_OK; i++) {
        const struct trm_batch_block *block = &all->triplets->block[i];
        int64_t to = from;
        at += block->count;
        while (to < batches->count && batches->triplets[to + 1] <= at)
            to++;
        status = trm_form_write_batches(writer, block->triplets,
                                        (trm_form_batches){first + from, to - from, batches->triplets + from},
                                        &line, err);
        from = to;
    }
    return trm_agree(comm, status, err);
}

trm_status trm_batches_write_triplets(MPI_Comm comm, trm_claim *claim, trm_form form, int64_t negatives,
                                      const trm_batches *batches, trm_batch_triplets *triplets, int arrays,
                                      const trm_output_array *array, const trm_names *names, int attributes,
                                      const trm_attribute *attribute, trm_error *err)
{
    batched of = {batches, triplets, 0};
    int64_t *starts = trm_alloc(batches->count + 1, sizeof *starts);
    trm_output_array *all = trm_alloc(LISTS + arrays, sizeof *all);
    trm_status status = TRM_OK;
    if (starts == NULL || all == NULL)
        status = trm_fail_memory(err, "the list of batches", batches->count + 1, sizeof *starts);
    status = trm_agree(comm, status, err);
    for (int64_t i = 0; i < triplets->blocks; i++)
        for (int64_t k = 0; k < triplets->block[i].count; k++)
            of.lines += trm_form_begins(form, &triplets->block[i].triplets[k]);
    if (status == TRM_OK) {
        trm_form_writer writer = {
            .form = form, .negatives = negatives, .batched = true, .lines = trm_sum_int64(comm, of.lines)};
        list_arrays(comm, batches, starts, all);
        for (int a = 0; a < arrays; a++)
            all[LISTS + a] = array[a];
        status = trm_form_result(comm, claim, &writer, fill, &of, LISTS + arrays, all, names, attributes,
                                 attribute, err);
    }
    trm_free(all);
    trm_free(starts);
    return status;
}

/* ---- reading ---- */

static const char kind[] = "batches";

/* What rank 0 finds; travels as bytes. */
typedef struct survey {
    bool text;
    int64_t batches, rows;
    trm_element start, row;
    trm_triplets_origin origin;
} survey;

/* A file of ours must be a list or a result of mine. A trm_result_look_fn. */
static trm_status check_format(const trm_named_file *about, trm_sources *sources, hid_t file, void *found,
                               trm_error *err)
{
    (void)sources;
    (void)found;
    char format[64] = {0};
    if (H5Aexists(file, "format") <= 0)
        return TRM_OK;
    if (!trm_h5_attribute_text(file, "format", format, sizeof format))
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': attribute 'format' is not a text", kind, about->path);
    for (trm_form form = 0; form < TRM_FORMS; form++)
        if (strcmp(format, trm_form_format(form)) == 0)
            return TRM_OK;
    if (strcmp(format, TRM_BATCH_LIST_FORMAT) == 0)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA,
                    "%s '%s': attribute 'format' is '%s', needs '%s' or that of a result of mine", kind,
                    about->path, format, TRM_BATCH_LIST_FORMAT);
}

/* A trm_result_look_fn. */
static trm_status inspect_lists(const trm_named_file *about, trm_sources *sources, hid_t file, void *context,
                                trm_error *err)
{
    survey *found = context;
    hsize_t starts = 0, rows = 0;
    trm_status status = trm_inspect_named(about, sources, file, start_name, 1, TRM_WANT_INTEGERS,
                                          &found->start, &starts, err);
    if (status == TRM_OK)
        status =
            trm_inspect_named(about, sources, file, row_name, 1, TRM_WANT_INTEGERS, &found->row, &rows, err);
    if (status == TRM_OK && starts < 2)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': dataset '%s' has %" PRId64 " values: one more than batches", kind,
                        about->path, start_name, (int64_t)starts);
    found->batches = (int64_t)starts - 1;
    found->rows = (int64_t)rows;
    return status;
}

static trm_status inspect(const char *path, trm_sources *sources, survey *found, trm_error *err)
{
    const trm_named_file about = {kind, path};
    trm_status status = trm_batch_text_recognize(&about, &found->text, err);
    if (status == TRM_OK && !found->text)
        return trm_result_inspect(&about, sources, check_format, inspect_lists, found, &found->origin, err);
    found->origin = (trm_triplets_origin){.store_rows = -1, .store_dim = -1};
    if (status == TRM_OK)
        status = trm_sources_add_input(sources, &about, err);
    return status == TRM_OK ? trm_batch_text_count(&about, &found->batches, err) : status;
}

/* Values [first, first + count) of a dataset, in new memory. Collective. */
static trm_status read_values(MPI_Comm comm, const char *path, const char *name, const trm_element *element,
                              int64_t first, int64_t count, int64_t **values, trm_error *err)
{
    *values = trm_alloc(count, sizeof **values);
    trm_status status = TRM_OK;
    if (*values == NULL)
        status = trm_fail_memory(err, "the list of batches", count, sizeof **values);
    status = trm_agree(comm, status, err);
    if (status != TRM_OK)
        return status;
    const trm_column column = {
        .name = name, .rank = 1, .element = element, .items = 1, .width = 1, .integers = *values};
    trm_reader in = {.comm = comm, .kind = kind, .err = err};
    status = trm_reader_begin(&in, trm_column_bytes(&column, count));
    if (status == TRM_OK)
        status = trm_reader_read(&in, path, 1, &column, first, count);
    trm_reader_end(&in);
    return status;
}

/* first: the number of this rank's first batch. Not collective. */
static trm_status check_starts(const char *path, const survey *found, int64_t first, int64_t count,
                               const int64_t *start, trm_error *err)
{
    for (int64_t b = 0; b <= count; b++) {
        const int64_t least = b > 0 ? start[b - 1] : 0;
        if (start[b] < least || start[b] > found->rows)
            return trm_fail(err, TRM_ERR_DATA,
                            "%s '%s': dataset '%s', row %" PRId64 ": %" PRId64 " is not between %" PRId64
                            " and the number of rows, %" PRId64,
                            kind, path, start_name, first + b, start[b], least, found->rows);
    }
    if (first == 0 && start[0] != 0)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' begins with %" PRId64 ", needs 0", kind,
                        path, start_name, start[0]);
    if (first + count == found->batches && start[count] != found->rows)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': dataset '%s' ends with %" PRId64 ", '%s' has %" PRId64 " rows", kind, path,
                        start_name, start[count], row_name, found->rows);
    return TRM_OK;
}

/* This rank's batches: starts, from 0 on, and rows. */
static trm_status read_lists(MPI_Comm comm, const char *path, const survey *found, trm_batches *batches,
                             trm_error *err)
{
    int rank = 0, ranks = 0;
    int64_t first, last;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    trm_share(found->batches, rank, ranks, &first, &last);
    trm_status status =
        read_values(comm, path, start_name, &found->start, first, last - first + 1, &batches->start, err);
    if (status == TRM_OK)
        status = trm_agree(comm, check_starts(path, found, first, last - first, batches->start, err), err);
    if (status != TRM_OK)
        return status;
    const int64_t from = batches->start[0], rows = batches->start[last - first] - from;
    status = read_values(comm, path, row_name, &found->row, from, rows, &batches->row, err);
    batches->count = last - first;
    for (int64_t b = 0; b <= batches->count; b++)
        batches->start[b] -= from;
    return status;
}

static trm_status read_share(MPI_Comm comm, const char *path, const survey *found, trm_batches *batches,
                             trm_error *err)
{
    const trm_named_file about = {kind, path};
    trm_status status = found->text ? trm_batch_text_read(comm, &about, found->batches, batches, err)
                                    : read_lists(comm, path, found, batches, err);
    batches->triplets = trm_alloc_zero(batches->count + 1, sizeof *batches->triplets);
    if (status == TRM_OK && batches->triplets == NULL)
        status = trm_fail_memory(err, "the list of batches", batches->count + 1, sizeof *batches->triplets);
    status = trm_agree(comm, status, err);
    for (int64_t b = 0; b < batches->count && status == TRM_OK; b++)
        qsort(batches->row + batches->start[b], (size_t)(batches->start[b + 1] - batches->start[b]),
              sizeof *batches->row, trm_compare_whole);
    return status;
}

trm_status trm_batches_read(MPI_Comm comm, const char *path, trm_batches *batches, int64_t *total,
                            trm_triplets_origin *origin, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    survey found;
    err = err == NULL ? &own : err;
    memset(&found, 0, sizeof found);
    *batches = (trm_batches){0};
    trm_h5_handler handler = trm_h5_silence();
    trm_sources sources = TRM_SOURCES_INIT; /* rank 0's */
    trm_status status =
        trm_agree(comm, trm_rank_of(comm) == 0 ? inspect(path, &sources, &found, err) : TRM_OK, err);
    if (status == TRM_OK) {
        MPI_Bcast(&found, (int)sizeof found, MPI_BYTE, 0, comm);
        status = read_share(comm, path, &found, batches, err);
    }
    if (status == TRM_OK)
        status = trm_agree(comm, trm_sources_check_unchanged(&sources, kind, err), err);
    trm_sources_free(&sources);
    if (status == TRM_OK) {
        *total = found.batches;
        *origin = found.origin;
    } else {
        trm_free(batches->start); /* store/ knows the lists, not who draws them */
        trm_free(batches->row);
        trm_free(batches->triplets);
        *batches = (trm_batches){0};
    }
    trm_h5_restore(handler);
    return status;
}
