/* Mined triplets, from panels in any order on any rank to one sorted file.
 *
 * add() counts triplets by anchor in at most 2^20 bins of consecutive row ids. finish() takes the bins in
 * order, as many at a time (a chunk) as the budget allows on every rank, gives each rank a consecutive part
 * of the chunk with an equal share of its triplets, sorts there and writes at the offset that the lower ranks
 * leave. A bin is never divided, so rank order is anchor order and the file has the same bytes for any ranks,
 * panels, spool and budget. */
#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/output.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BINS = 1 << 20, WRITE_STEP = 1 << 20 };
static const int64_t max_quota = INT64_C(1) << 36; /* so that quota times ranks can't overflow */

/* The triplets of one add(), sorted; in memory or in the spool. done: how many went to a chunk already. */
typedef struct panel {
    trm_triplet *memory;
    int64_t offset, count, done;
} panel;

struct trm_triplet_file {
    MPI_Comm comm;
    trm_claim *claim; /* borrowed */
    int64_t anchors, budget;
    int64_t bins, bin_width; /* bin of anchor a: a / bin_width */
    int64_t held;            /* bytes of triplets in memory */
    int64_t *local, *global; /* triplets in each bin: this rank's, all */
    panel *panels;
    int64_t panel_count, panel_room;
    int spool; /* descriptor of a file without a name, or -1 */
    int64_t spool_bytes;
};

/* Columns of the result; all but kind are eight bytes of a trm_triplet. */
enum { COLUMN_INT, COLUMN_FLOAT, COLUMN_KIND };
static const struct result_column {
    const char *name;
    size_t offset;
    int type;
} columns[] = {
    {"/triplets/anchor", offsetof(trm_triplet, anchor), COLUMN_INT},
    {"/triplets/positive", offsetof(trm_triplet, positive), COLUMN_INT},
    {"/triplets/negative", offsetof(trm_triplet, negative), COLUMN_INT},
    {"/triplets/d_ap", offsetof(trm_triplet, d_ap), COLUMN_FLOAT},
    {"/triplets/d_an", offsetof(trm_triplet, d_an), COLUMN_FLOAT},
    {"/triplets/kind", offsetof(trm_triplet, kind), COLUMN_KIND},
};
enum { COLUMNS = sizeof columns / sizeof columns[0], RECORD_BYTES = 41 };

static int64_t bin_width_of(int64_t anchors)
{
    return anchors / MAX_BINS + 1;
}

/* A chunk's triplets to send, being read or sorted, and received. */
enum { COPIES_OF_CHUNK = 4, TABLES_A_BIN = 2 * sizeof(int64_t) + sizeof(int) };

int64_t trm_triplet_file_bytes(int64_t anchors, int64_t most)
{
    const int64_t width = bin_width_of(anchors);
    return (anchors / width + 1) * TABLES_A_BIN +
           COPIES_OF_CHUNK * width * most * (int64_t)sizeof(trm_triplet);
}

trm_status trm_triplet_file_create(MPI_Comm comm, trm_claim *claim, int64_t anchors, bool spool,
                                   int64_t budget, trm_triplet_file **file, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    trm_status status = TRM_OK;
    trm_triplet_file *made = trm_alloc_zero(1, sizeof *made);
    *file = NULL;
    if (made == NULL)
        status = trm_fail_memory(err, "a triplet file", 1, sizeof *made);
    status = trm_agree(comm, status, err);
    if (status != TRM_OK) {
        trm_free(made);
        return status;
    }
    MPI_Comm_dup(comm, &made->comm);
    made->spool = -1;
    made->anchors = anchors;
    made->budget = budget;
    made->bin_width = bin_width_of(anchors);
    made->bins = anchors / made->bin_width + 1;
    made->claim = claim;
    made->local = trm_alloc_zero(made->bins, sizeof *made->local);
    if (made->local == NULL)
        status = trm_fail_memory(err, "counts of triplets", made->bins, sizeof *made->local);
    else if (spool)
        status = trm_draft_nameless(claim, &made->spool, err);
    status = trm_agree(comm, status, err);
    if (status != TRM_OK)
        trm_triplet_file_destroy(&made);
    *file = made;
    return status;
}

static trm_status spool_failed(const trm_triplet_file *file, const char *doing, trm_error *err)
{
    return trm_fail(err, TRM_ERR_IO, "output '%s': %s the spool at %" PRId64 " bytes: %s", file->claim->path,
                    doing, file->spool_bytes, strerror(errno));
}

static trm_status spool_write(trm_triplet_file *file, const void *data, size_t bytes, trm_error *err)
{
    const char *from = data;
    while (bytes > 0) {
        ssize_t wrote = pwrite(file->spool, from, bytes, (off_t)file->spool_bytes);
        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return spool_failed(file, "writing", err);
        from += wrote;
        bytes -= (size_t)wrote;
        file->spool_bytes += wrote;
    }
    return TRM_OK;
}

static trm_status spool_read(const trm_triplet_file *file, void *data, size_t bytes, int64_t offset,
                             trm_error *err)
{
    char *into = data;
    while (bytes > 0) {
        errno = 0;
        ssize_t got = pread(file->spool, into, bytes, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return spool_failed(file, "reading", err);
        into += got;
        bytes -= (size_t)got;
        offset += got;
    }
    return TRM_OK;
}

static trm_status more_panels(trm_triplet_file *file, trm_error *err)
{
    if (file->panel_count < file->panel_room)
        return TRM_OK;
    int64_t room = 2 * file->panel_room + 8;
    panel *larger = trm_alloc(room, sizeof *larger);
    if (larger == NULL)
        return trm_fail_memory(err, "the list of panels", room, sizeof *larger);
    if (file->panel_count > 0)
        memcpy(larger, file->panels, (size_t)file->panel_count * sizeof *larger);
    trm_free(file->panels);
    file->panels = larger;
    file->panel_room = room;
    return TRM_OK;
}

static trm_status keep_panel(trm_triplet_file *file, trm_triplet **triplets, int64_t count, trm_error *err)
{
    panel added = {NULL, file->spool_bytes, count, 0};
    trm_status status = more_panels(file, err);
    if (status != TRM_OK)
        return status;
    if (file->spool >= 0) {
        status = spool_write(file, *triplets, (size_t)count * sizeof **triplets, err);
    } else {
        added.memory = *triplets;
        *triplets = NULL;
        file->held += count * (int64_t)sizeof **triplets;
    }
    if (status == TRM_OK)
        file->panels[file->panel_count++] = added;
    return status;
}

trm_status trm_triplet_file_add(void *context, trm_triplet **given, int64_t count, trm_error *err)
{
    trm_triplet_file *file = context;
    const trm_triplet *triplets = *given;
    if (count == 0)
        return TRM_OK;
    for (int64_t i = 0; i < count; i++)
        if (triplets[i].anchor < 0 || triplets[i].anchor >= file->anchors ||
            (i > 0 && triplets[i].anchor < triplets[i - 1].anchor))
            return trm_fail(err, TRM_ERR_INTERNAL,
                            "output '%s': anchor %" PRId64 " out of range or order among %" PRId64,
                            file->claim->path, triplets[i].anchor, file->anchors);
    for (int64_t i = 0; i < count; i++)
        file->local[triplets[i].anchor / file->bin_width]++;
    return keep_panel(file, given, count, err);
}

trm_status trm_triplet_file_walk(void *source,
                                 void (*look)(void *looker, const trm_triplet *triplets, int64_t count),
                                 void *looker, trm_error *err)
{
    enum { AT_ONCE = 1 << 13 };
    const trm_triplet_file *file = source;
    trm_triplet *step = trm_alloc(file->spool < 0 ? 0 : AT_ONCE, sizeof *step);
    trm_status status =
        step == NULL ? trm_fail_memory(err, "triplets to look at", AT_ONCE, sizeof *step) : TRM_OK;
    for (int64_t p = 0; p < file->panel_count && status == TRM_OK; p++) {
        const panel *from = &file->panels[p];
        if (from->memory != NULL)
            look(looker, from->memory, from->count);
        for (int64_t done = 0, n; from->memory == NULL && done < from->count && status == TRM_OK; done += n) {
            n = from->count - done < AT_ONCE ? from->count - done : AT_ONCE;
            status = spool_read(file, step, (size_t)n * sizeof *step,
                                from->offset + done * (int64_t)sizeof *step, err);
            if (status == TRM_OK)
                look(looker, step, n);
        }
    }
    trm_free(step);
    return status;
}

/* Bins [first, last), who gets each, and where this chunk starts in the file. */
typedef struct chunk {
    int64_t first, last, total, base;
    int *owner;           /* of bin first + i */
    int64_t *send_counts; /* by rank */
    int64_t *place;       /* by rank: where its next triplet goes in the send buffer */
    int64_t *receive_counts;
    int64_t mine;
} chunk;

/* As many bins as keep what every rank sends and receives within its quota; at least one. */
static void choose_bins(const trm_triplet_file *file, int ranks, chunk *part)
{
    const int64_t room = file->budget - file->held - file->bins * TABLES_A_BIN;
    int64_t quota = room / (COPIES_OF_CHUNK * (int64_t)sizeof(trm_triplet));
    quota = quota < 1 ? 1 : quota > max_quota ? max_quota : quota;
    int64_t last = part->first, mine = 0, all = 0;
    while (last < file->bins && (last == part->first || (mine + file->local[last] <= quota &&
                                                         all + file->global[last] <= quota * ranks))) {
        mine += file->local[last];
        all += file->global[last];
        last++;
    }
    MPI_Allreduce(&last, &part->last, 1, MPI_INT64_T, MPI_MIN, file->comm);
}

static void assign_bins(const trm_triplet_file *file, int ranks, chunk *part)
{
    part->total = 0;
    part->mine = 0;
    for (int64_t b = part->first; b < part->last; b++) {
        part->total += file->global[b];
        part->mine += file->local[b];
    }
    memset(part->send_counts, 0, (size_t)ranks * sizeof *part->send_counts);
    const int64_t share = part->total / ranks + 1;
    int64_t before = 0;
    for (int64_t b = part->first; b < part->last; b++) {
        int owner = (int)(before / share);
        part->owner[b - part->first] = owner;
        part->send_counts[owner] += file->local[b];
        before += file->global[b];
    }
    int64_t place = 0;
    for (int r = 0; r < ranks; r++) {
        part->place[r] = place;
        place += part->send_counts[r];
    }
}

/* Moves a panel's triplets of this chunk to the send buffer. step: room for so many from the spool. */
static trm_status take(trm_triplet_file *file, panel *from, const chunk *part, trm_triplet *step,
                       int64_t steps, trm_triplet *send, trm_error *err)
{
    const int64_t end = part->last * file->bin_width;
    while (from->done < from->count) {
        const trm_triplet *next = from->memory + from->done;
        int64_t count = from->count - from->done, i = 0;
        if (from->memory == NULL) {
            count = count < steps ? count : steps;
            trm_status status = spool_read(file, step, (size_t)count * sizeof *step,
                                           from->offset + from->done * (int64_t)sizeof *step, err);
            if (status != TRM_OK)
                return status;
            next = step;
        }
        for (; i < count && next[i].anchor < end; i++) {
            int owner = part->owner[next[i].anchor / file->bin_width - part->first];
            send[part->place[owner]++] = next[i];
        }
        from->done += i;
        if (i < count)
            break;
    }
    if (from->done == from->count && from->memory != NULL) {
        trm_free(from->memory);
        from->memory = NULL;
        file->held -= from->count * (int64_t)sizeof *from->memory;
        from->count = from->done = 0;
    }
    return TRM_OK;
}

static int compare_triplets(const void *a, const void *b)
{
    const trm_triplet *x = a, *y = b;
    if (x->anchor != y->anchor)
        return x->anchor < y->anchor ? -1 : 1;
    if (x->positive != y->positive)
        return x->positive < y->positive ? -1 : 1;
    return x->negative < y->negative ? -1 : x->negative > y->negative ? 1 : 0;
}

static void sort_triplets(trm_triplet *triplets, int64_t count)
{
    for (int64_t i = 1; i < count; i++)
        if (compare_triplets(&triplets[i - 1], &triplets[i]) > 0) {
            qsort(triplets, (size_t)count, sizeof *triplets, compare_triplets);
            return;
        }
}

static trm_status gather(trm_triplet_file *file, const chunk *part, trm_triplet **received, int64_t *count,
                         trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(file->comm, &ranks);
    trm_triplet *send = trm_alloc(part->mine, sizeof *send);
    /* What a panel has of a chunk, or a little more: what is read beyond it is read again for the next. */
    const int64_t steps = file->panel_count > 0 ? part->mine * 5 / 4 / file->panel_count + 64 : 0;
    trm_triplet *step = trm_alloc(file->spool < 0 ? 0 : steps, sizeof *step);
    trm_status status = TRM_OK;
    if (send == NULL || step == NULL)
        status = trm_fail_memory(err, "triplets to exchange", part->mine, sizeof *send);
    for (int64_t i = 0; i < file->panel_count && status == TRM_OK; i++)
        status = take(file, &file->panels[i], part, step, steps, send, err);
    trm_free(step);
    status = trm_agree(file->comm, status, err);
    void *items = NULL;
    if (status == TRM_OK)
        status = trm_exchange_items(file->comm, send, part->send_counts, sizeof *send, &items,
                                    part->receive_counts, err);
    trm_free(send);
    if (status != TRM_OK)
        return status;
    *received = items;
    *count = 0;
    for (int r = 0; r < ranks; r++)
        *count += part->receive_counts[r];
    sort_triplets(*received, *count);
    return TRM_OK;
}

/* One column of count triplets, dense, in values. */
static void extract(const trm_triplet *triplets, int64_t count, const struct result_column *column,
                    void *values)
{
    if (column->type == COLUMN_KIND) {
        uint8_t *kind = values;
        for (int64_t i = 0; i < count; i++)
            kind[i] = (uint8_t)triplets[i].kind;
    } else {
        char *value = values;
        for (int64_t i = 0; i < count; i++)
            memcpy(value + 8 * i, (const char *)&triplets[i] + column->offset, 8);
    }
}

static trm_status write_triplets(trm_output *out, const trm_output_place *place, int64_t base,
                                 const trm_triplet *triplets, int64_t count, trm_error *err)
{
    const int64_t first = base + trm_prefix_int64(out->comm, count);
    const int64_t step = count < WRITE_STEP ? count : WRITE_STEP;
    void *values = trm_alloc(step, 8);
    trm_status status = values == NULL ? trm_fail_memory(err, "a write buffer", step, 8) : TRM_OK;
    for (int64_t from = 0; from < count && status == TRM_OK; from += step) {
        const int64_t now = count - from < step ? count - from : step;
        for (int c = 0; c < COLUMNS && status == TRM_OK; c++) {
            extract(triplets + from, now, &columns[c], values);
            status = trm_output_write(out, place[c], first + from, now, values, err);
        }
    }
    trm_free(values);
    return trm_agree(out->comm, status, err);
}

static trm_status write_chunks(trm_triplet_file *file, trm_output *out, const trm_output_place *place,
                               chunk *part, trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(file->comm, &ranks);
    trm_status status = TRM_OK;
    for (part->first = 0; part->first < file->bins && status == TRM_OK; part->first = part->last) {
        trm_triplet *received = NULL;
        int64_t count = 0;
        choose_bins(file, ranks, part);
        assign_bins(file, ranks, part);
        if (part->total == 0)
            continue;
        status = gather(file, part, &received, &count, err);
        if (status == TRM_OK)
            status = write_triplets(out, place, part->base, received, count, err);
        trm_free(received);
        part->base += part->total;
    }
    return status;
}

static trm_status create_datasets(trm_output *out, int64_t total, trm_output_place *place, trm_error *err)
{
    static const trm_attribute kinds = {"kinds", TRM_ATTRIBUTE_TEXT, "0 semihard, 1 fallback", 0, 0.0};
    hsize_t size = (hsize_t)total;
    trm_status status = trm_output_group(out, "/triplets", err);
    for (int c = 0; c < COLUMNS && status == TRM_OK; c++) {
        hid_t type = columns[c].type == COLUMN_INT     ? H5T_STD_I64LE
                     : columns[c].type == COLUMN_FLOAT ? H5T_IEEE_F64LE
                                                       : H5T_STD_U8LE;
        status = trm_output_dataset(out, columns[c].name, type, 1, &size, &place[c], err);
        if (status == TRM_OK && columns[c].type == COLUMN_KIND)
            status = trm_output_attribute(out, columns[c].name, &kinds, err);
    }
    return status;
}

static trm_status fill_output(trm_triplet_file *file, trm_output *out, int64_t total, trm_error *err)
{
    int ranks = 0;
    trm_output_place place[COLUMNS];
    MPI_Comm_size(file->comm, &ranks);
    chunk part = {0,
                  0,
                  0,
                  0,
                  trm_alloc(file->bins, sizeof(int)),
                  trm_alloc(ranks, sizeof(int64_t)),
                  trm_alloc(ranks, sizeof(int64_t)),
                  trm_alloc(ranks, sizeof(int64_t)),
                  0};
    trm_status status = TRM_OK;
    if (part.owner == NULL || part.send_counts == NULL || part.place == NULL || part.receive_counts == NULL)
        status = trm_fail_memory(err, "owners of triplets", file->bins, sizeof(int));
    status = trm_agree(file->comm, status, err);
    if (status == TRM_OK)
        status = create_datasets(out, total, place, err);
    if (status == TRM_OK)
        status = write_chunks(file, out, place, &part, err);
    trm_free(part.owner);
    trm_free(part.send_counts);
    trm_free(part.place);
    trm_free(part.receive_counts);
    return status;
}

static trm_status count_all(trm_triplet_file *file, int64_t *total, trm_error *err)
{
    trm_status status = TRM_OK;
    if (file->global == NULL)
        file->global = trm_alloc(file->bins, sizeof *file->global);
    if (file->global == NULL)
        status = trm_fail_memory(err, "counts of triplets", file->bins, sizeof *file->global);
    status = trm_agree(file->comm, status, err);
    if (status != TRM_OK)
        return status;
    MPI_Allreduce(file->local, file->global, (int)file->bins, MPI_INT64_T, MPI_SUM, file->comm);
    *total = 0;
    for (int64_t b = 0; b < file->bins; b++)
        *total += file->global[b];
    return TRM_OK;
}

trm_status trm_triplet_file_finish(trm_triplet_file *file, int arrays, const trm_output_array *array,
                                   const trm_names *names, int attributes, const trm_attribute *attribute,
                                   trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    trm_h5_handler handler = trm_h5_silence();
    trm_output out = TRM_OUTPUT_INIT;
    int64_t total = 0;
    trm_status status = count_all(file, &total, err);
    if (status == TRM_OK)
        status = trm_output_create(file->comm, file->claim,
                                   total * RECORD_BYTES + trm_output_arrays_bytes(arrays, array) +
                                       trm_output_names_bytes(names),
                                   &out, err);
    if (status == TRM_OK)
        status = fill_output(file, &out, total, err);
    if (status == TRM_OK)
        status = trm_output_arrays_write(&out, arrays, array, err);
    if (status == TRM_OK) {
        trm_output_check_item items[COLUMNS];
        for (int c = 0; c < COLUMNS; c++)
            items[c] = (trm_output_check_item){columns[c].name, total};
        status =
            trm_output_arrays_commit(&out, COLUMNS, items, arrays, array, names, attributes, attribute, err);
    }
    trm_output_close(&out);
    trm_h5_restore(handler);
    return status;
}

void trm_triplet_file_destroy(trm_triplet_file **file)
{
    if (file == NULL || *file == NULL)
        return;
    trm_triplet_file *old = *file;
    for (int64_t i = 0; i < old->panel_count; i++)
        trm_free(old->panels[i].memory);
    if (old->spool >= 0)
        close(old->spool);
    MPI_Comm_free(&old->comm);
    trm_free(old->panels);
    trm_free(old->local);
    trm_free(old->global);
    trm_free(old);
    *file = NULL;
}
