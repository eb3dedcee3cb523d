/* Asking for rows by id; see ask.h. */
#include "rows/ask.h"

#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"

#include <string.h>

int trm_team_of_id(const trm_rows *rows, int64_t id)
{
    int lo = 0,
        hi = rows->teams - 1; /* the last team whose first row is not beyond id; empty ones come first */
    while (lo < hi) {
        const int middle = lo + (hi - lo + 1) / 2;
        if (rows->shards[middle].first <= id)
            lo = middle;
        else
            hi = middle - 1;
    }
    return lo;
}

/* Answers all that was asked of this rank; NULL: no memory. */
static char *answer_all(const trm_rows *rows, int64_t count, const int64_t *id, size_t size,
                        trm_answer_row_fn answer)
{
    char *answers = trm_alloc(count, size);
    for (int64_t i = 0; i < count && answers != NULL; i++)
        answer(rows, id[i] - rows->first, answers + i * (int64_t)size);
    return answers;
}

/* Ids, ascending, to the member that this rank is of the teams that have them. counts: two a rank, of zero: how many went
 * to each rank, and came. Collective. */
static trm_status send_ids(const trm_run *run, const trm_rows *rows, int64_t count, const int64_t *id,
                           int64_t *counts, void **received, int64_t *came, trm_error *err)
{
    for (int64_t i = 0; i < count; i++)
        counts[trm_team_of_id(rows, id[i]) * rows->replicate + rows->member]++;
    const trm_status status =
        trm_exchange_items(run->comm, id, counts, sizeof *id, received, counts + run->ranks, err);
    *came = 0;
    for (int r = 0; r < run->ranks && status == TRM_OK; r++)
        *came += counts[run->ranks + r];
    return status;
}

trm_status trm_ask_rows(const trm_run *run, const trm_rows *rows, int64_t count, const int64_t *id,
                        size_t size, trm_answer_row_fn answer, void *answers, trm_error *err)
{
    int64_t *counts = trm_alloc_zero(3 * (int64_t)run->ranks, sizeof *counts), asked = 0;
    void *questions = NULL, *came_back = NULL;
    char *found = NULL;
    trm_status status =
        counts == NULL ? trm_fail_memory(err, "rows to ask for", run->ranks, sizeof *counts) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status != TRM_OK)
        goto done;
    int64_t *came = counts + run->ranks, *back = counts + 2 * run->ranks;
    status = send_ids(run, rows, count, id, counts, &questions, &asked, err);
    if (status != TRM_OK)
        goto done;
    found = answer_all(rows, asked, questions, size, answer);
    status = found == NULL ? trm_fail_memory(err, "rows asked for", asked, size) : TRM_OK;
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK)
        status = trm_exchange_items(run->comm, found, came, size, &came_back, back, err);
    if (status == TRM_OK && count > 0)
        memcpy(answers, came_back, (size_t)count * size);
done:
    trm_free(counts);
    trm_free(questions);
    trm_free(found);
    trm_free(came_back);
    return status;
}

static void give_label(const trm_rows *rows, int64_t row, void *into)
{
    memcpy(into, &rows->label[row], sizeof rows->label[row]);
}

trm_status trm_ask_labels(const trm_run *run, const trm_rows *rows, int64_t count, const int64_t *id,
                          int64_t *label, trm_error *err)
{
    return trm_ask_rows(run, rows, count, id, sizeof *label, give_label, label, err);
}

trm_status trm_tell_rows(const trm_run *run, const trm_rows *rows, int64_t count, const int64_t *id,
                         int64_t **told, int64_t *told_count, trm_error *err)
{
    int64_t *counts = trm_alloc_zero(2 * (int64_t)run->ranks, sizeof *counts);
    void *received = NULL;
    trm_status status =
        counts == NULL ? trm_fail_memory(err, "rows to tell of", run->ranks, 2 * sizeof *counts) : TRM_OK;
    *told = NULL;
    *told_count = 0;
    status = trm_agree(run->comm, status, err);
    if (status == TRM_OK)
        status = send_ids(run, rows, count, id, counts, &received, told_count, err);
    if (status == TRM_OK) {
        *told = received;
        for (int64_t i = 0; i < *told_count; i++)
            (*told)[i] -= rows->first;
    }
    trm_free(counts);
    return status;
}
