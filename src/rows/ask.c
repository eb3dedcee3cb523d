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
    int64_t *sent = counts, *came = counts + run->ranks, *back = counts + 2 * run->ranks;
    for (int64_t i = 0; i < count; i++) /* this member asks the same member of each team */
        sent[trm_team_of_id(rows, id[i]) * rows->replicate + rows->member]++;
    status = trm_exchange_items(run->comm, id, sent, sizeof *id, &questions, came, err);
    if (status != TRM_OK)
        goto done;
    for (int r = 0; r < run->ranks; r++)
        asked += came[r];
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
