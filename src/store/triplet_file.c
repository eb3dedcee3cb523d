/* Mined triplets, from panels in any order on any rank to one sorted file.
 *
 * add() counts triplets by anchor in at most 2^20 bins of consecutive row ids. finish() takes the bins in
 * order, as many at a time (a chunk) as the budget allows on every rank, gives each rank a consecutive part
 * of the chunk with an equal share of its triplets, which the form (forms.h) writes at the offset that the
 * lower ranks leave. A bin is never divided, so rank order is anchor order and the file has the same bytes for any ranks,
 * panels, spool and budget. */
#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/forms.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_BINS = 1 << 20 };
static const int64_t max_quota = INT64_C(1) << 36; /* so that quota times ranks can't overflow */

/* The triplets of one add(), sorted; in memory or in the spool. done: how many went to a chunk already. */
typedef struct panel {
    trm_triplet *memory;
    int64_t offset, count, done;
} panel;

struct trm_triplet_file {
    MPI_Comm comm;
    trm_claim *claim; /* borrowed */
    trm_form form;
    int64_t negatives, anchors, budget;
    int64_t lines;           /* of this rank's triplets */
    int64_t bins, bin_width; /* bin of anchor a: a / bin_width */
    int64_t held;            /* bytes of triplets in memory */
    int64_t *local, *global; /* triplets in each bin: this rank's, all */
    panel *panels;
    int64_t panel_count, panel_room;
    int spool; /* descriptor of a file without a name, or -1 */
    int64_t spool_bytes;
};

static int64_t bin_width_of(int64_t anchors)
{
    return anchors / MAX_BINS + 1;
}

/* A chunk's triplets to send, being read or sorted, and received. */
enum { COPIES_OF_CHUNK = 4, TABLES_A_BIN = 2 * sizeof(int64_t) + sizeof(int) };

int64_t trm_triplet_file_bytes(trm_form form, int64_t negatives, int64_t anchors, int64_t most)
{
    const int64_t width = bin_width_of(anchors);
    return (anchors / width + 1) * TABLES_A_BIN + trm_form_buffer_bytes(form, negatives) +
           COPIES_OF_CHUNK * width * most * (int64_t)sizeof(trm_triplet);
}

trm_status trm_triplet_file_create(MPI_Comm comm, trm_claim *claim, trm_form form, int64_t negatives,
                                   int64_t anchors, bool spool, int64_t budget, trm_triplet_file **file,
                                   trm_error *err)
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
    made->form = form;
    made->negatives = negatives;
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
    file->claim->unwritten = true;
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
    for (int64_t i = 0; i < count; i++) {
        file->local[triplets[i].anchor / file->bin_width]++;
        file->lines += trm_form_begins(file->form, &triplets[i]);
    }
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

/* Bins [first, last), and who gets each. */
typedef struct chunk {
    int64_t first, last, total;
    int *owner;           /* of bin first + i */
    int64_t *send_counts; /* by rank */
    int64_t *place;       /* by rank: where its next triplet goes in the send buffer */
    int64_t *receive_counts;
    int64_t mine;
} chunk;

/* As many bins as keep what every rank sends and receives within its quota; at least one. */
static void choose_bins(const trm_triplet_file *file, int ranks, chunk *part)
{
    const int64_t room = file->budget - file->held - file->bins * TABLES_A_BIN -
                         trm_form_buffer_bytes(file->form, file->negatives);
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
        const trm_triplet *next = from->memory == NULL ? step : from->memory + from->done;
        int64_t count = from->count - from->done, i = 0;
        if (from->memory == NULL) {
            count = count < steps ? count : steps;
            trm_status status = spool_read(file, step, (size_t)count * sizeof *step,
                                           from->offset + from->done * (int64_t)sizeof *step, err);
            if (status != TRM_OK)
                return status;
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
    return TRM_OK;
}

/* The bins of the chunk that are this rank's: [*first, *last). */
static void bins_of(const chunk *part, int rank, int64_t *first, int64_t *last)
{
    *first = part->first;
    while (*first < part->last && part->owner[*first - part->first] < rank)
        ++*first;
    *last = *first;
    while (*last < part->last && part->owner[*last - part->first] == rank)
        ++*last;
}

static trm_status write_chunk(trm_triplet_file *file, trm_form_writer *writer, const chunk *part,
                              trm_error *err)
{
    trm_triplet *received = NULL;
    int64_t count = 0, first, last;
    trm_status status = TRM_OK;
    bins_of(part, trm_rank_of(file->comm), &first, &last);
    const int64_t from = first * file->bin_width, to = last * file->bin_width;
    if (part->total > 0)
        status = gather(file, part, &received, &count, err);
    if (status == TRM_OK) /* the last bin is that of the number of anchors, where the last of them ends */
        status =
            trm_form_write(writer, received, count, from, to <= file->anchors ? to : file->anchors + 1, err);
    trm_free(received);
    return status;
}

static trm_status write_chunks(trm_triplet_file *file, trm_form_writer *writer, chunk *part, trm_error *err)
{
    int ranks = 0;
    MPI_Comm_size(file->comm, &ranks);
    trm_status status = TRM_OK;
    for (part->first = 0; part->first < file->bins && status == TRM_OK; part->first = part->last) {
        choose_bins(file, ranks, part);
        assign_bins(file, ranks, part);
        status = write_chunk(file, writer, part, err);
    }
    return status;
}

/* A trm_form_fill_fn. */
static trm_status fill_output(void *context, trm_form_writer *writer, trm_error *err)
{
    trm_triplet_file *file = context;
    int ranks = 0;
    MPI_Comm_size(file->comm, &ranks);
    chunk part = {.owner = trm_alloc(file->bins, sizeof(int)),
                  .send_counts = trm_alloc(ranks, sizeof(int64_t)),
                  .place = trm_alloc(ranks, sizeof(int64_t)),
                  .receive_counts = trm_alloc(ranks, sizeof(int64_t))};
    trm_status status = TRM_OK;
    if (part.owner == NULL || part.send_counts == NULL || part.place == NULL || part.receive_counts == NULL)
        status = trm_fail_memory(err, "owners of triplets", file->bins, sizeof(int));
    status = trm_agree(file->comm, status, err);
    if (status == TRM_OK)
        status = write_chunks(file, writer, &part, err);
    trm_free(part.owner);
    trm_free(part.send_counts);
    trm_free(part.place);
    trm_free(part.receive_counts);
    return status;
}

/* Triplets in each bin, of all ranks. */
static trm_status count_all(trm_triplet_file *file, trm_error *err)
{
    trm_status status = TRM_OK;
    if (file->global == NULL)
        file->global = trm_alloc(file->bins, sizeof *file->global);
    if (file->global == NULL)
        status = trm_fail_memory(err, "counts of triplets", file->bins, sizeof *file->global);
    status = trm_agree(file->comm, status, err);
    if (status == TRM_OK)
        MPI_Allreduce(file->local, file->global, (int)file->bins, MPI_INT64_T, MPI_SUM, file->comm);
    return status;
}

trm_status trm_triplet_file_finish(trm_triplet_file *file, int arrays, const trm_output_array *array,
                                   const trm_names *names, int attributes, const trm_attribute *attribute,
                                   trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    err = err == NULL ? &own : err;
    trm_form_writer writer = {.form = file->form,
                              .negatives = file->negatives,
                              .anchors = file->anchors,
                              .lines = trm_sum_int64(file->comm, file->lines)};
    trm_status status = count_all(file, err);
    return status == TRM_OK ? trm_form_result(file->comm, file->claim, &writer, fill_output, file, arrays,
                                              array, names, attributes, attribute, err)
                            : status;
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
