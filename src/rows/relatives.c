/* The rows of other teams that may share a label with this one's, passing by; see rows.h. */
#include "par/agree.h"
#include "par/exchange.h"
#include "rows/rows.h"
#include "rows/run.h"

#include "base/alloc.h"

int64_t trm_rows_part_find(const trm_rows_part *part, int64_t label, int64_t id)
{
    int64_t lo = 0, hi = part->count;
    while (lo < hi) {
        const int64_t middle = lo + (hi - lo) / 2;
        if (part->label[middle] < label || (part->label[middle] == label && part->id[middle] < id))
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo < part->count && part->label[lo] == label && part->id[lo] == id ? lo : -1;
}

static bool are_relatives(const trm_rows *rows, int team, int other)
{
    return trm_shards_may_share_label(&rows->shards[team], &rows->shards[other]);
}

/* Bytes of the largest shard that will come by. */
static int64_t largest_relative(const trm_rows *rows)
{
    int64_t largest = 0;
    for (int t = 0; t < rows->teams; t++) {
        const int64_t bytes = trm_rows_message_bytes(rows->dim, rows->shards[t].count);
        if (t != rows->team && are_relatives(rows, rows->team, t) && bytes > largest)
            largest = bytes;
    }
    return largest;
}

/* This member's shard goes to the same member of one team, and that of another comes into message. */
static void pass_on(const trm_run *run, const trm_rows *rows, int to, int from, void *message, trm_error *err)
{
    enum { TAG = 1 };
    trm_transfer send = {NULL, 0}, receive = {NULL, 0};
    trm_status status = TRM_OK;
    if (are_relatives(rows, rows->team, from))
        status = trm_transfer_receive(run->comm, message,
                                      trm_rows_message_bytes(rows->dim, rows->shards[from].count),
                                      from * rows->replicate + rows->member, TAG, &receive, err);
    if (status == TRM_OK && are_relatives(rows, rows->team, to))
        status = trm_transfer_send(run->comm, rows->message, trm_rows_message_bytes(rows->dim, rows->count),
                                   to * rows->replicate + rows->member, TAG, &send, err);
    if (status != TRM_OK) /* others wait for it already */
        trm_abort(run->comm, err);
    trm_transfer_wait(&receive);
    trm_transfer_wait(&send);
}

trm_status trm_rows_visit_relatives(const trm_run *run, const trm_rows *rows, trm_rows_part_fn visit,
                                    void *context, trm_error *err)
{
    const int64_t bytes = largest_relative(rows);
    void *message = trm_alloc(bytes, 1);
    trm_status status = message == NULL ? trm_fail_memory(err, "rows that pass by", bytes, 1) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    for (int step = 0; step < rows->teams && status == TRM_OK; step++) {
        const int from = (rows->team + step) % rows->teams,
                  to = (rows->team + rows->teams - step) % rows->teams;
        if (step > 0)
            pass_on(run, rows, to, from, message, err);
        if (!are_relatives(rows, rows->team, from))
            continue;
        const trm_rows_part part =
            trm_rows_view(rows->dim, rows->shards[from].first, rows->shards[from].count,
                          step > 0 ? message : rows->message);
        visit(context, &part);
    }
    trm_free(message);
    return status;
}
