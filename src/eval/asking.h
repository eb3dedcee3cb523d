/* One query that all rows of a set ask about the rows of a set, theirs or another: planned, swept panel by panel, kept in
 * checkpoints, and its answers handed out. knn, radius and eval stand on this; it knows none of them.
 *
 * Order of calls: trm_asking_create plans the memory, when rows have their labels and places, filled or not;
 * trm_asking_run sweeps, once the rows are there. */
#ifndef TRM_EVAL_ASKING_H
#define TRM_EVAL_ASKING_H

#include "par/checkpoint.h"
#include "rows/rows.h"
#include "rows/run.h"
#include "sweep/query.h"
#include "trimine/ask.h"

/* Equal on all ranks, but for what is reserved, and the rows and pairs that each has. All is borrowed until the asking is
 * destroyed. */
typedef struct trm_question {
    const char *name; /* of the sweep, for progress: "neighbours" */
    /* What is asked: its relation says among which rows (among.h), its slots how many an anchor needs, by how
     * many rows of the store there are for it. A row without slots of shape 0 asks nothing. */
    const trm_query *query;
    trm_metric metric;
    /* What must be known of each row beforehand: NULL: nothing. Else a policy of positives, "all" or "nearest:1": a
     * sweep finds them first (or they are measured, where they are pairs), and the query's `give` gets them by (d, id).
     * Then a row without any asks nothing. */
    const char *positives;
    const trm_rows *queries;    /* two sets: these ask, about the store's rows; NULL: one set */
    const trm_pair_list *pairs; /* with queries: their positives are these, whatever labels say; else NULL */
    /* Slots of shape 0 of each row of this team's shard, where only the caller knows; NULL: as the query says. */
    const int64_t *slots;
    int64_t reserve; /* bytes of a rank's limit that the caller needs meanwhile */
    bool keeps;      /* goes to the run's checkpoint, if it has one; else a stop ends it, and keeps nothing */
    /* Of a caller that asked something else before: at most three parts with what it knows since then, which each state has, too.
     * anew: it asked that in this run, so there is nothing of this question to go on from; what is known is saved at once. */
    int extras;
    const trm_checkpoint_part *extra;
    bool anew;
} trm_question;

/* What was found for some rows. Borrowed for the call. */
typedef struct trm_answers {
    const trm_rows *rows;   /* of the anchors: row, label and id by shard row */
    const trm_state *state; /* settled; fields that are made are not to be relied on */
    int64_t count;          /* this rank's rows of the panel, */
    const int64_t *row;     /* as rows of the shard, in the order of their row ids */
} trm_answers;

/* Takes the answers of a panel. Called on every rank the same number of times (count may be 0), so it may be
 * collective; its status is agreed on. In all calls together each row comes to one rank, once; also the rows that ask
 * nothing. */
typedef trm_status (*trm_answers_fn)(void *context, const trm_answers *answers, trm_error *err);

typedef struct trm_asking trm_asking;

/* Plans. summary: panels and memory_bytes are filled in, also where it does not fit. Collective. The caller owns *asking,
 * also after a failure, when there is nothing to run. Errors: USAGE, DATA (sets or pairs that don't go together; a row of norm 0 under
 * cosine, where rows are filled), MEMORY (with the smallest limit that would do). */
trm_status trm_asking_create(trm_run *run, const trm_rows *rows, const trm_question *question,
                             trm_ask_summary *summary, trm_asking **asking, trm_error *err) TRM_MUST_CHECK;
/* Sweeps, once, and hands out the answers. tally: the query's, of all ranks, TRM_TALLY_WORDS; or NULL. Collective.
 * Errors: MEMORY, STOPPED, those of the place that keeps, what take returns. */
trm_status trm_asking_run(trm_asking *asking, trm_answers_fn take, void *context, int64_t *tally,
                          trm_ask_summary *summary, trm_error *err) TRM_MUST_CHECK;
/* As trm_anchors_travel, of its sweep for the query. Not collective. */
void trm_asking_travel(const trm_asking *asking, int64_t *visit, int64_t *home);
/* The rows of the store that there are for a row of the shard, once it is planned. Not collective. */
trm_there trm_asking_there(const trm_asking *asking, int64_t row);
/* Frees and sets to NULL; NULL is fine. Not collective. */
void trm_asking_destroy(trm_asking **asking);

#endif
