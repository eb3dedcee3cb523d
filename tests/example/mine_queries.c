/* How a retrieval model gets its hard negatives from the library: queries and passages that are in memory, and a list
 * of pairs (query, passage that answers it). Only public headers.
 *
 *   mpirun -n 2 mine_queries
 *
 * Every rank has its own queries, passages and pairs, here made up; a row's id is its place among the rows of all ranks.
 * Each pair gets the NEGATIVES passages nearest to its query that are not listed for it and not more similar to it than
 * 0.95 of its farthest positive: what is nearer may be an answer that nobody listed. Rank 0 prints them, and compares
 * them with those of a plain loop over everything. Exit code 0 if they are the same. */
#include <trimine/trimine.h>

#include <math.h>
#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { DIM = 8, TOPICS = 12, PASSAGES = 120, QUERIES = 18, NEGATIVES = 3, MOST_PAIRS = 2 * QUERIES };
enum { A_TOPIC = PASSAGES / TOPICS };
static const double share = 0.05; /* less similar than the positive by at least this */

/* What one rank has. */
typedef struct part {
    int64_t queries, passages;
    float query[QUERIES * DIM], passage[PASSAGES * DIM];
    trm_pair_list pairs;
    int64_t pair_query[MOST_PAIRS], pair_positive[MOST_PAIRS];
} part;

/* Triplets, as many as have come. */
typedef struct found {
    trm_triplet *triplets;
    int64_t count;
} found;

/* Pseudo-random in [-1, 1): splitmix64 of a counter. */
static float noise(uint64_t counter)
{
    uint64_t z = (counter + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (float)((int64_t)((z ^ z >> 31) >> 40) - (INT64_C(1) << 23)) / (float)(1 << 23);
}

/* A row of a topic; own is a number that no other row has. */
static void make_row(int64_t topic, int64_t own, float *x)
{
    for (int k = 0; k < DIM; k++)
        x[k] = noise((uint64_t)(topic * DIM + k)) + 0.5F * noise(1000 + (uint64_t)(own * DIM + k));
}

/* The queries, passages and pairs of one of so many ranks; of one rank: all. A query asks for one or two of the passages of its
 * topic. */
static void make_part(int rank, int ranks, part *p)
{
    const int64_t query = (int64_t)QUERIES * rank / ranks, query_end = (int64_t)QUERIES * (rank + 1) / ranks;
    const int64_t passage = (int64_t)PASSAGES * rank / ranks,
                  passage_end = (int64_t)PASSAGES * (rank + 1) / ranks;
    *p = (part){.queries = query_end - query, .passages = passage_end - passage};
    for (int64_t i = passage; i < passage_end; i++)
        make_row(i / A_TOPIC, i, p->passage + (i - passage) * DIM);
    for (int64_t q = query; q < query_end; q++) {
        const int64_t topic = q % TOPICS;
        make_row(topic, PASSAGES + q, p->query + (q - query) * DIM);
        for (int64_t i = 0; i <= q % 2; i++) {
            p->pair_query[p->pairs.count] = q;
            p->pair_positive[p->pairs.count++] = topic * A_TOPIC + 3 * i;
        }
    }
    p->pairs.query = p->pair_query;
    p->pairs.positive = p->pair_positive;
}

/* A trm_triplet_fn: keeps what comes to this rank. */
static trm_status keep(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    found *f = context;
    (void)err;
    if (count == 0)
        return TRM_OK;
    trm_triplet *more = realloc(f->triplets, (size_t)(f->count + count) * sizeof *more);
    if (more == NULL)
        return TRM_ERR_MEMORY;
    f->triplets = more;
    for (int64_t i = 0; i < count; i++)
        more[f->count++] = (*triplets)[i];
    return TRM_OK;
}

/* Collective. */
static trm_status mine(trm_run *run, const part *p, found *f, trm_mine_summary *summary, trm_error *err)
{
    trm_rows *passages = NULL, *queries = NULL;
    trm_mine_options options;
    trm_mine_options_init(&options); /* all positives */
    options.metric = TRM_METRIC_COSINE;
    options.negatives = "topk:3"; /* NEGATIVES */
    options.relative_margin = share;
    options.pairs = &p->pairs;
    trm_status status = trm_rows_create_by_id(run, p->passages, DIM, p->passage, NULL, &passages, err);
    if (status == TRM_OK)
        status = trm_rows_create_queries(run, passages, p->queries, p->query, NULL, &queries, err);
    options.queries = queries;
    if (status == TRM_OK)
        status = trm_mine(run, passages, &options, keep, f, summary, NULL, err);
    trm_rows_destroy(&queries);
    trm_rows_destroy(&passages);
    return status;
}

/* By query, positive, rank of the negative. */
static int in_order(const void *left, const void *right)
{
    const trm_triplet *a = left, *b = right;
    if (a->anchor != b->anchor)
        return a->anchor < b->anchor ? -1 : 1;
    if (a->positive != b->positive)
        return a->positive < b->positive ? -1 : 1;
    return (a->rank > b->rank) - (a->rank < b->rank);
}

/* All ranks' triplets on rank 0, in order. Collective. */
static void gather(int rank, int ranks, found *f)
{
    const int bytes = (int)(f->count * (int64_t)sizeof *f->triplets);
    int *size = calloc((size_t)ranks, sizeof *size), *start = calloc((size_t)ranks + 1, sizeof *start);
    trm_triplet *all = malloc(MOST_PAIRS * NEGATIVES * sizeof *all); /* there can't be more */
    if (size == NULL || start == NULL || all == NULL)
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Gather(&bytes, 1, MPI_INT, size, 1, MPI_INT, 0, MPI_COMM_WORLD);
    for (int r = 0; r < ranks; r++)
        start[r + 1] = start[r] + size[r];
    MPI_Gatherv(f->triplets, bytes, MPI_BYTE, all, size, start, MPI_BYTE, 0, MPI_COMM_WORLD);
    free(f->triplets);
    f->triplets = all;
    f->count = start[ranks] / (int)sizeof *all;
    if (rank == 0)
        qsort(all, (size_t)f->count, sizeof *all, in_order);
    free(size);
    free(start);
}

static double distance(const float *a, const float *b)
{
    double aa = 0.0, bb = 0.0, ab = 0.0;
    for (int k = 0; k < DIM; k++) {
        aa += (double)a[k] * (double)a[k];
        bb += (double)b[k] * (double)b[k];
        ab += (double)a[k] * (double)b[k];
    }
    return 1.0 - ab / sqrt(aa * bb);
}

/* The negatives of one query, by looking at every passage; returns how many. */
static int plain_loop(const part *all, int64_t query, int64_t *negative)
{
    double d[PASSAGES], farthest = 0.0;
    for (int64_t i = 0; i < PASSAGES; i++)
        d[i] = distance(all->query + query * DIM, all->passage + i * DIM);
    for (int64_t i = 0; i < all->pairs.count; i++)
        if (all->pair_query[i] == query)
            farthest = fmax(farthest, d[all->pair_positive[i]]);
    const double most = (1.0 - farthest) - fabs(1.0 - farthest) * share; /* the similarity that is allowed */
    for (int64_t i = 0; i < all->pairs.count; i++)
        if (all->pair_query[i] == query)
            d[all->pair_positive[i]] = INFINITY;
    int count = 0;
    for (; count < NEGATIVES; count++) {
        int64_t best = -1;
        for (int64_t i = 0; i < PASSAGES; i++)
            if (1.0 - d[i] <= most && d[i] < INFINITY && (best < 0 || d[i] < d[best]))
                best = i;
        if (best < 0)
            break;
        negative[count] = best;
        d[best] = INFINITY;
    }
    return count;
}

/* On rank 0: prints the negatives of every pair; returns whether the plain loop finds the same. */
static int show(const found *f)
{
    static part all;
    int64_t at = 0;
    int same = 1;
    make_part(0, 1, &all);
    for (int64_t i = 0; i < all.pairs.count; i++) {
        int64_t want[NEGATIVES];
        const int count = plain_loop(&all, all.pair_query[i], want);
        printf("query %2d  positive %3d  negatives", (int)all.pair_query[i], (int)all.pair_positive[i]);
        for (int k = 0; k < count && at < f->count; k++, at++) {
            const trm_triplet *t = &f->triplets[at];
            printf("  %3d (%.4f)", (int)t->negative, t->d_an);
            same = same && t->anchor == all.pair_query[i] && t->positive == all.pair_positive[i] &&
                   t->rank == k + 1 && t->negative == want[k];
        }
        printf("\n");
    }
    return same && at == f->count;
}

int main(int argc, char **argv)
{
    static part mine_of_all;
    int provided = 0, rank = 0, ranks = 0, same = 1;
    MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &provided);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    trm_run *run = NULL;
    trm_run_options options;
    trm_mine_summary summary;
    trm_error err = TRM_ERROR_INIT;
    found f = {NULL, 0};
    trm_run_options_init(&options);
    options.threads = 1;
    make_part(rank, ranks, &mine_of_all);
    trm_status status = trm_run_create(MPI_COMM_WORLD, &options, &run, &err);
    if (status == TRM_OK)
        status = mine(run, &mine_of_all, &f, &summary, &err);
    trm_run_destroy(&run);
    if (status == TRM_OK) { /* the same on all ranks */
        gather(rank, ranks, &f);
        same = rank > 0 || show(&f);
        if (rank == 0)
            printf("%d of %d queries have negatives; a plain loop finds %s\n", (int)summary.anchors.valid,
                   QUERIES, same ? "the same" : "OTHERS");
    } else if (rank == 0) {
        fprintf(stderr, "mine_queries: %s\n", err.text);
    }
    free(f.triplets);
    MPI_Finalize();
    return status != TRM_OK ? trm_exit_code(status) : !same;
}
