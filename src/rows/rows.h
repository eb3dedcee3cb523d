/* The rows of a store in memory: arranged by (label, row id) over the teams.
 *
 * A label is then one contiguous run: a positive pair is near the diagonal, a tile whose label ranges are
 * disjoint needs no label test, and a class is a slice. p ranks form T = p / c teams of c; team t's shard is
 * a contiguous part of the arrangement, held whole by each of its members. */
#ifndef TRM_ROWS_ROWS_H
#define TRM_ROWS_ROWS_H

#include "trimine/mine.h"

#include <mpi.h>
#include <stdbool.h>

/* One team's part of the arrangement; every rank knows all teams'. */
typedef struct trm_shard {
    int64_t first, count;            /* arranged places */
    int64_t label_first, label_last; /* labels of the ends; meaningless where count is 0 */
} trm_shard;

static inline bool trm_shards_may_share_label(const trm_shard *a, const trm_shard *b)
{
    return a->count > 0 && b->count > 0 && a->label_last >= b->label_first && b->label_last >= a->label_first;
}

enum { TRM_ROWS_LABEL = 80 };

/* Where this rank's rows go, and those come from that it has of the arrangement. */
typedef struct trm_sorted trm_sorted;

struct trm_rows {
    int dim;
    int64_t store_rows; /* as given, with the ignored ones */
    int64_t total;      /* rows that take part */
    int64_t ignored;    /* labels whose rows don't: ignored_label, ascending */
    int64_t *ignored_label;
    /* A label as people know it, for messages; NULL: numbers are. */
    const char *(*label_text)(const void *context, int64_t label, char text[TRM_ROWS_LABEL]);
    const void *label_context;
    int64_t classes; /* among those */
    double arrange_s;
    int64_t given;    /* rows that this rank gave */
    int64_t zero_row; /* the lowest row id of norm 0 that takes part; INT64_MAX: none */

    int replicate, teams, team, member;
    MPI_Comm team_comm; /* the ranks of this team, by member */
    trm_shard *shards;  /* one a team */

    int64_t first, count;  /* this team's shard */
    bool all_here;         /* of a run that plans for all ranks: the shards of all teams */
    int64_t arrange_bytes; /* what a rank needs while rows are read and arranged; equal on all */
    bool kept;             /* the caller keeps its rows */
    bool by_id;    /* arranged by row id alone, so that a row's place is its id; then label is what was given,
                              0 where nothing was, and of classes there is nothing to say */
    bool labelled; /* there are labels */
    const int64_t *marks; /* by_id: the labels given, until rows are filled; borrowed; or NULL */
    int64_t read_bytes;   /* of a buffer that the caller reads with */
    trm_sorted *sorted;   /* until the embeddings are here */
    void *message;        /* x, norm2, label, id and class_first as they travel, in one piece */
    float *x;             /* count x dim */
    int64_t *label, *id;  /* count; ids are row ids of the store */
    double *norm2;        /* count: canonical dot of the row with itself */
    int64_t *class_first; /* count: arranged place of the row's class's first row */
    int64_t *class_size;  /* count */
};

/* trm_rows_create in three steps, so that a job can be planned when only the labels have been read.
 *
 * First, where every row will go, from the labels alone. kept: the caller will keep its embeddings.
 * read_bytes: what it needs to read them, for the plan. by_id: arranged by row id, none ignored; labels may be NULL
 * then, on all ranks, else they stay where they are until the rows are filled. Collective. The caller owns *rows. Errors: MEMORY,
 * DATA. */
trm_status trm_rows_sort(trm_run *run, int64_t count, int dim, const int64_t *labels, int64_t ignore_count,
                         const int64_t *ignore_label, bool by_id, bool kept, int64_t read_bytes,
                         trm_rows **rows, trm_error *err) TRM_MUST_CHECK;
/* Then the teams, of so many ranks, and all of rows but x and norm2. May be done again. Collective. Errors:
 * MEMORY. A run that plans for all ranks gets all shards, of rows that were sorted by a run of one rank; such rows can't be
 * filled. */
trm_status trm_rows_lay_out(const trm_run *run, trm_rows *rows, int replicate, trm_error *err) TRM_MUST_CHECK;
/* Last the embeddings, as many as there were labels. Where kept was false, *embeddings, which trm_alloc gave,
 * is freed as soon as it is copied, and set to NULL, also after a failure. Collective. Errors: MEMORY. */
trm_status trm_rows_fill(const trm_run *run, trm_rows *rows, int64_t count, float **embeddings,
                         trm_error *err) TRM_MUST_CHECK;

/* Gives the rows other row ids: id i becomes id[i], which ascend. For rows that were made from a part of a
 * store; nothing that takes row ids as places among what was given may be done with them any more. Not
 * collective. */
void trm_rows_rename(trm_rows *rows, const int64_t *id);

/* Ranks a team, where only speed counts; the run's choice where it has one. Not collective. */
int trm_rows_best_replicate(const trm_run *run, const trm_rows *rows);

/* The bytes that sorting the labels of so many rows takes in one process. */
int64_t trm_rows_labels_bytes(int64_t rows);

/* Refuses (MEMORY) so many rows that this machine can't sort their labels. Not collective. */
trm_status trm_rows_check_labels(const trm_run *run, int64_t rows, int dim, trm_error *err) TRM_MUST_CHECK;

/* Refuses a row of norm 0 under cosine. The same answer on all ranks. Not collective. Errors: DATA. */
trm_status trm_rows_check_metric(const trm_rows *rows, trm_metric metric, trm_error *err) TRM_MUST_CHECK;

/* A label for a message: text, filled in. Not collective. */
const char *trm_rows_label(const trm_rows *rows, int64_t label, char text[TRM_ROWS_LABEL]);
/* Do rows with this label take no part? Not collective. */
bool trm_rows_ignore(const trm_rows *rows, int64_t label);

/* Consecutive arranged rows, as trm_rows has them. */
typedef struct trm_rows_part {
    int64_t first, count; /* arranged places */
    float *x;
    double *norm2;
    int64_t *label, *id, *class_first;
} trm_rows_part;

/* How count rows travel: bytes of the message, and its arrays. */
int64_t trm_rows_message_bytes(int dim, int64_t count);
trm_rows_part trm_rows_view(int dim, int64_t first, int64_t count, void *message);

/* The shards that are here: the team's own, or all of a run that plans for all ranks. Row numbers of one: [*from, *to). */
int trm_rows_shards_here(const trm_rows *rows);
void trm_rows_shard_here(const trm_rows *rows, int shard, int64_t *from, int64_t *to);
/* Rows of the shard that is here; of the largest of them. */
int64_t trm_rows_shard_count(const trm_rows *rows);
/* Rows of the largest shard. */
int64_t trm_rows_largest_shard(const trm_rows *rows);

/* Bytes that rows hold on this rank at this moment. Not collective. */
int64_t trm_rows_held_bytes(const trm_rows *rows);

/* Bytes a row takes here, for the memory plan. */
int64_t trm_rows_bytes_per_row(int dim);

#endif
