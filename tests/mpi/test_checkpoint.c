/* A job that is stopped at any unit, on any number of ranks, and goes on on any other, ends with the result
 * of the job that was left alone. Jobs run on part of the ranks (a communicator of the first q), so that one
 * test sees several numbers of them; what stops them is a wish of one rank at its nth unit. */
#include "base/error.h"
#include "base/hash_sum.h"
#include "loss/batch_all.h"
#include "mine/anchors.h"
#include "mine/negatives.h"
#include "mine/pool.h"
#include "par/checkpoint.h"
#include "store/checkpoint_file.h"
#include "support/random_store.h"
#include "support/saver.h"
#include "support/scratch.h"
#include "trimine/trimine.h"

#include <fcntl.h>
#include <mpi.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 330, DIM = 9, CLASSES = 7, NEVER = SAVER_NEVER };
/* Of two sets the first rows are queries, the others the store; a list has so many pairs, some of them repeated. */
enum { QUERIES = 130, PAIRS = 400 };

static float embeddings[ROWS * DIM];
static int64_t labels[ROWS];
static int64_t pair_query[PAIRS], pair_positive[PAIRS];

/* Coordinates in steps of 1/4 (ties), one class of half the rows, a singleton. */
static void make_store(void)
{
    test_random random = {31};
    for (int64_t i = 0; i < ROWS; i++) {
        labels[i] = i == 17 ? 99 : test_random_below(&random, 2) ? 3 : test_random_below(&random, CLASSES);
        for (int j = 0; j < DIM; j++)
            embeddings[i * DIM + j] = (float)test_random_below(&random, 9) * 0.25F + (float)(labels[i] % 3);
    }
    for (int64_t i = 0; i < PAIRS; i++) {
        pair_query[i] = test_random_below(&random, QUERIES);
        pair_positive[i] = test_random_below(&random, ROWS - QUERIES);
    }
}

/* ---- one run ---- */

typedef enum which_sets { ONE_SET, BY_LABEL, BY_LIST } which_sets;

typedef struct job {
    trm_evaluate_options options;
    which_sets sets;
    int replicate, tile, threads;
    const char *name;
    bool gradient;
    int percent;                  /* of the memory that the state of all anchors would need; 0: no limit */
    const trm_draw_options *draw; /* of batches; NULL: in the whole store */
} job;

typedef struct outcome {
    trm_status status;
    trm_error err;
    trm_mine_summary mined;
    trm_loss_summary loss;
    int saved, pieces;
    uint64_t gradient_hash; /* of its bytes, in the order of row ids */
    char batched[33];       /* of batches: of each triplet with its batch and its place in there */
} outcome;

/* So that the anchors go through in panels. Collective. */
static void limit_memory(trm_run *run, const trm_rows *rows, const trm_evaluate_options *options, int percent)
{
    trm_anchors anchors;
    trm_negatives negatives;
    trm_pool pool;
    if (percent == 0)
        return;
    const bool counts = options->source == TRM_SOURCE_BATCH_ALL;
    const trm_query counting = {&trm_batch_all_query, NULL};
    if (trm_pool_create(&pool, run, rows, &options->mine, NULL) != TRM_OK)
        MPI_Abort(MPI_COMM_WORLD, 1);
    trm_negatives_choose(&negatives, &options->mine, rows->total, rows->dim);
    if (trm_anchors_init(&anchors, run, &pool, &options->mine, counts ? &counting : &negatives.query, 1, NULL,
                         NULL, !counts, NULL) != TRM_OK)
        MPI_Abort(MPI_COMM_WORLD, 1);
    const int64_t fixed = trm_anchors_bytes(&anchors, 1) - anchors.panel_bytes;
    run->mem_per_rank = fixed + anchors.panel_bytes * percent / 100;
    trm_anchors_destroy(&anchors);
    trm_pool_free(&pool);
}

/* Of the rows of all ranks, of which this one's start there. Collective. */
static uint64_t hash_gradient(MPI_Comm comm, const trm_batch *rows, int64_t first, const float *gradient)
{
    uint64_t sum = 0;
    for (int64_t i = first * DIM; i < (first + rows->count) * DIM; i++) {
        uint32_t bits;
        memcpy(&bits, &gradient[i], sizeof bits);
        sum += (bits + UINT64_C(0x9e3779b97f4a7c15)) * (uint64_t)(2 * i + 1);
    }
    MPI_Allreduce(MPI_IN_PLACE, &sum, 1, MPI_UINT64_T, MPI_SUM, comm);
    return sum;
}

/* The triplets of a rank, in the order that they came in. */
typedef struct bag {
    trm_triplet *items;
    int64_t count;
} bag;

static trm_status put_in_bag(void *context, trm_triplet **triplets, int64_t count, trm_error *err)
{
    bag *b = context;
    (void)err;
    b->items = realloc(b->items, (size_t)(b->count + count + 1) * sizeof *b->items);
    if (b->items == NULL)
        abort();
    if (count > 0)
        memcpy(b->items + b->count, *triplets, (size_t)count * sizeof **triplets);
    b->count += count;
    return TRM_OK;
}

static void hash_batched(MPI_Comm comm, const trm_batches *batches, const bag *b, char text[33])
{
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    int64_t first = 0;
    MPI_Exscan(&batches->count, &first, 1, MPI_INT64_T, MPI_SUM, comm);
    for (int64_t k = 0; k < batches->count; k++)
        for (int64_t i = batches->triplets[k]; i < batches->triplets[k + 1] && i < b->count; i++)
            trm_hash_sum_add_keyed(&hash, (first + k) * 1000000 + i - batches->triplets[k], &b->items[i],
                                   sizeof *b->items);
    MPI_Allreduce(MPI_IN_PLACE, hash.digit, 4, MPI_UINT64_T, MPI_SUM, comm);
    trm_hash_sum_text(&hash, text);
}

/* Rank's share of q of rows [from, to), which start there. */
static trm_batch share_of(int64_t from, int64_t to, int q, int64_t *start)
{
    *start = from + (to - from) * rank / q;
    return (trm_batch){.count = from + (to - from) * (rank + 1) / q - *start,
                       .dim = DIM,
                       .embeddings = embeddings + *start * DIM,
                       .labels = labels + *start};
}

/* What a rank has of the sets; options point to it. */
typedef struct held {
    trm_rows *rows, *queries;
    trm_batch batch, queries_batch; /* of one set the latter has no rows */
    int64_t first, queries_first;
    trm_pair_list list;
} held;

/* Brings this rank's share of q, and fills in options. *h must stay where it is. Collective. */
static trm_status bring(trm_run *run, which_sets sets, int q, held *h, trm_evaluate_options *options,
                        trm_error *err)
{
    const int64_t queries = sets == ONE_SET ? 0 : QUERIES, pair = PAIRS * rank / q;
    trm_status status;
    h->batch = share_of(queries, ROWS, q, &h->first);
    h->queries_batch = share_of(0, queries, q, &h->queries_first);
    h->list = (trm_pair_list){PAIRS * (rank + 1) / q - pair, pair_query + pair, pair_positive + pair};
    if (sets == BY_LIST)
        status = trm_rows_create_by_id(run, h->batch.count, DIM, h->batch.embeddings, NULL, &h->rows, err);
    else
        status = trm_rows_create(run, h->batch.count, DIM, h->batch.embeddings, h->batch.labels, 0, NULL,
                                 &h->rows, err);
    if (status != TRM_OK || sets == ONE_SET)
        return status;
    status = trm_rows_create_queries(run, h->rows, h->queries_batch.count, h->queries_batch.embeddings,
                                     sets == BY_LIST ? NULL : h->queries_batch.labels, &h->queries, err);
    options->queries = &h->queries_batch;
    options->mine.queries = h->queries;
    options->mine.pairs = sets == BY_LIST ? &h->list : NULL;
    return status;
}

/* at: the unit at which rank `who` wishes. Collective on the first q ranks; the others learn the outcome. */
static outcome run_job(const job *j, int q, int who, int at, int what, bool resume, const char *path)
{
    outcome o = {.status = TRM_OK, .err = TRM_ERROR_INIT};
    MPI_Comm comm;
    MPI_Comm_split(MPI_COMM_WORLD, rank < q ? 0 : MPI_UNDEFINED, rank, &comm);
    if (comm != MPI_COMM_NULL) {
        json_t *options = json_pack("{s:s}", "name", j->name);
        saver k;
        saver_begin(&k, comm, path, (trm_checkpoint_job){"mine", "1", options, ROWS, DIM, "f", 1});
        saver_wish(&k, rank == who ? at : SAVER_NEVER, what);
        k.checkpoint.resumes = resume;
        trm_run_options run_options;
        trm_run_options_init(&run_options);
        run_options.threads = j->threads;
        run_options.tile = j->tile;
        run_options.replicate = q % j->replicate == 0 ? j->replicate : 1;
        run_options.kernel = "blas";
        run_options.checkpoint = &k.checkpoint;
        trm_run *run = NULL;
        static float gradient[ROWS * DIM]; /* in their places: of this rank's queries, and its other rows */
        held h = {0};
        trm_evaluate_options evaluated = j->options;
        if (resume)
            o.status = saver_open(&k, &o.err);
        if (o.status == TRM_OK)
            o.status = trm_run_create(comm, &run_options, &run, &o.err);
        if (o.status == TRM_OK)
            o.status = bring(run, j->sets, q, &h, &evaluated, &o.err);
        if (o.status == TRM_OK)
            limit_memory(run, h.rows, &evaluated, j->percent);
        trm_batches batches = {0};
        bag b = {0};
        if (o.status == TRM_OK && j->draw != NULL)
            o.status = trm_batches_draw(run, h.rows, j->draw, &batches, &o.err);
        evaluated.batches = j->draw != NULL ? &batches : NULL;
        if (j->gradient && j->sets != ONE_SET)
            evaluated.queries_gradient = gradient + h.queries_first * DIM;
        if (o.status == TRM_OK)
            o.status =
                trm_evaluate(run, h.rows, &h.batch, &evaluated, j->draw != NULL ? put_in_bag : NULL, &b,
                             j->gradient ? gradient + h.first * DIM : NULL, &o.mined, &o.loss, NULL, &o.err);
        if (o.status == TRM_OK && j->draw != NULL)
            hash_batched(comm, &batches, &b, o.batched);
        free(b.items);
        trm_batches_free(&batches);
        if (o.status == TRM_OK && j->gradient)
            o.gradient_hash = hash_gradient(comm, &h.queries_batch, h.queries_first, gradient) +
                              hash_gradient(comm, &h.batch, h.first, gradient);
        o.saved = k.saved;
        o.pieces = k.pieces;
        trm_rows_destroy(&h.queries);
        trm_rows_destroy(&h.rows);
        trm_run_destroy(&run);
        saver_end(&k);
        json_decref(options);
        MPI_Comm_free(&comm);
    }
    MPI_Bcast(&o, (int)sizeof o, MPI_BYTE, 0, MPI_COMM_WORLD);
    return o;
}

static bool same(const outcome *a, const outcome *b)
{
    return a->status == TRM_OK && b->status == TRM_OK &&
           strcmp(a->mined.result_hash, b->mined.result_hash) == 0 && a->loss.sum == b->loss.sum &&
           a->loss.count == b->loss.count && a->loss.active == b->loss.active &&
           memcmp(&a->mined.triplets, &b->mined.triplets, sizeof a->mined.triplets) == 0 &&
           memcmp(&a->mined.filters, &b->mined.filters, sizeof a->mined.filters) == 0 &&
           a->mined.positive_pairs == b->mined.positive_pairs && a->mined.set_size == b->mined.set_size &&
           memcmp(&a->mined.anchors, &b->mined.anchors, sizeof a->mined.anchors) == 0 &&
           a->gradient_hash == b->gradient_hash && strcmp(a->batched, b->batched) == 0;
}

static job make_job(trm_source source, const char *positives, int replicate, int tile)
{
    job j = {.replicate = replicate, .tile = tile, .threads = 2, .name = "a"};
    trm_evaluate_options_init(&j.options);
    j.options.source = source;
    j.options.mine.positives = positives;
    j.options.mine.fallback = TRM_FALLBACK_FARTHEST_INSIDE;
    j.gradient = source == TRM_SOURCE_BATCH_ALL || strcmp(positives, "easiest") == 0;
    return j;
}

static const struct {
    trm_source source;
    const char *positives, *negatives, *ranks; /* with ranks also some filters */
    bool listed;                               /* a set that is, and not counted only */
    bool drawn;                                /* pick and fallback are */
    double near;                               /* not_near_positive; 0: without */
    which_sets sets;
} sources[] = {{TRM_SOURCE_MINED, "all", "semihard", NULL, false, false, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "easiest", "semihard", NULL, false, false, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "hardest", "semihard", NULL, false, false, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "nearest:3", "semihard", NULL, false, false, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "hardest", "topk:3", "4-", false, false, 1.0, ONE_SET},
               {TRM_SOURCE_MINED, "nearest:3", "hard", "2-40", false, false, 1.0, ONE_SET},
               {TRM_SOURCE_BATCH_HARD, "all", "semihard", NULL, false, false, 0.0, ONE_SET},
               {TRM_SOURCE_BATCH_ALL, "all", "semihard", NULL, false, false, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "nearest:3", "easy-all", NULL, false, false, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "nearest:3", "hard-all", NULL, true, false, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "all", "multisimilarity:0.5", NULL, false, false, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "random:3", "random:2", NULL, false, false, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "hardest", "weighted:2", "3-", false, false, 1.0, ONE_SET},
               {TRM_SOURCE_MINED, "all", "semihard", NULL, false, true, 0.0, ONE_SET},
               {TRM_SOURCE_MINED, "easiest", "semihard", NULL, false, false, 0.0, BY_LABEL},
               {TRM_SOURCE_MINED, "easiest", "topk:3", "4-", false, false, 0.0, BY_LIST},
               {TRM_SOURCE_MINED, "nearest:3", "easy-all", NULL, false, false, 0.0, BY_LIST},
               {TRM_SOURCE_MINED, "all", "topk:2", NULL, false, false, 8.0, ONE_SET}};
enum { SOURCES = sizeof sources / sizeof *sources };

/* Of a row of the table. */
static job make_job_of(int s, int replicate, int tile)
{
    job j = make_job(sources[s].source, sources[s].positives, replicate, tile);
    j.sets = sources[s].sets;
    j.options.mine.negatives = sources[s].negatives;
    j.options.mine.emit_sets = sources[s].listed;
    j.options.mine.ranks = sources[s].ranks;
    j.options.mine.seed = 7;
    if (sources[s].drawn) {
        j.options.mine.pick = TRM_PICK_RANDOM;
        j.options.mine.fallback = TRM_FALLBACK_RANDOM;
    }
    if (sources[s].ranks != NULL) {
        j.options.mine.min_distance = 2.0;
        j.options.mine.max_distance = 9.0;
        j.options.mine.relative_margin = 0.01;
    }
    if (sources[s].near > 0.0)
        j.options.mine.not_near_positive = sources[s].near;
    return j;
}

/* How much later each stop comes: a set that is to be listed is counted again each time, and what is near a positive is
 * found again. */
static int stride(int s)
{
    if (sources[s].sets != ONE_SET) /* to keep the test short */
        return 4;
    return sources[s].listed || sources[s].near > 0.0 ? 12 : 1;
}

/* Stopped again and again, each time a few units later and on another number of ranks. */
static void a_job_that_is_stopped_at_any_unit_ends_with_the_same_result(void **state)
{
    (void)state;
    int stops = 0;
    for (int s = 0; s < SOURCES; s++)
        for (int replicate = 1; replicate <= 2 && replicate <= ranks; replicate++) {
            const int at = (s + replicate) % 3;
            job j = make_job_of(s, replicate, 32);
            const outcome alone = run_job(&j, 1, 0, NEVER, 0, false, NULL);
            const char *path = in_folder("stopped");
            outcome o = {.status = TRM_ERR_STOPPED};
            int q = ranks, kept = 0; /* while a set that is to be listed is counted, nothing is kept */
            for (int turn = 0; o.status == TRM_ERR_STOPPED && turn < 200; turn++) {
                j.tile = turn % 2 == 0 ? 32 : 64;
                o = run_job(&j, q, (at + turn) % q, at + turn / 2 * stride(s), TRM_WISH_STOP, kept > 0, path);
                kept += o.saved;
                stops += o.status == TRM_ERR_STOPPED;
                q = q == 1 ? ranks : q - 1;
            }
            if (!same(&alone, &o))
                fprintf(stderr, "source %d replicate %d at %d: status %d %s\n", s, replicate, at,
                        (int)o.status, o.err.text);
            assert_true(everywhere(same(&alone, &o)));
        }
    const job near = make_job_of(SOURCES - 1, 1, 32);
    assert_true(
        run_job(&near, ranks, 0, NEVER, 0, false, NULL).mined.filters.removed[TRM_FILTER_NOT_NEAR_POSITIVE] >
        ROWS);
    assert_true(stops > 3 * SOURCES);
}

/* The same with panels, of which every number of ranks makes others; too many anchors begun for one that goes
 * on is refused, and can be mended by a higher limit. */
static void a_job_in_panels_that_is_stopped_at_any_unit_ends_with_the_same_result(void **state)
{
    (void)state;
    int stops = 0, pieces = 0, panels = 0, refused = 0;
    for (int s = 0; s < SOURCES; s++)
        for (int replicate = 1; replicate <= 2 && replicate <= ranks; replicate++) {
            job j = make_job_of(s, replicate, 32);
            j.gradient = false; /* that of batch-all does not go in panels */
            const outcome alone = run_job(&j, 1, 0, NEVER, 0, false, NULL);
            const char *path = in_folder("panels");
            outcome o = {.status = TRM_ERR_STOPPED};
            int q = ranks, kept = 0;
            for (int turn = 0; o.status == TRM_ERR_STOPPED && turn < 400; turn++) {
                j.percent = 40;
                o = run_job(&j, q, turn % q, turn % 5 + turn / 3 * stride(s), TRM_WISH_STOP, kept > 0, path);
                while (o.status == TRM_ERR_MEMORY && j.percent < 1000) {
                    refused += strstr(o.err.text, "to go on from the checkpoint needs") != NULL;
                    j.percent *= 2;
                    o = run_job(&j, q, turn % q, turn % 5 + turn / 3 * stride(s), TRM_WISH_STOP, kept > 0,
                                path);
                }
                kept += o.saved;
                stops += o.status == TRM_ERR_STOPPED;
                pieces += o.pieces;
                panels = o.mined.panels > panels ? o.mined.panels : panels;
                q = q == 1 ? ranks : q - 1;
            }
            if (!same(&alone, &o))
                fprintf(stderr, "source %d replicate %d: status %d %s\n", s, replicate, (int)o.status,
                        o.err.text);
            assert_true(everywhere(same(&alone, &o)));
        }
    assert_true(stops > 3 * SOURCES);
    assert_true(pieces > 0);
    assert_true(panels > 2);
    assert_true(ranks < 3 || refused > 0);
}

static void a_job_that_saves_on_its_way_ends_with_the_same_result(void **state)
{
    (void)state;
    for (int s = 0; s < SOURCES; s++)
        for (int replicate = 1; replicate <= 2 && replicate <= ranks; replicate++) {
            const job j = make_job_of(s, replicate, 32);
            const outcome alone = run_job(&j, 1, 0, NEVER, 0, false, NULL);
            const outcome o = run_job(&j, ranks, ranks - 1, 1, TRM_WISH_SAVE, false, in_folder("saved"));
            assert_true(everywhere(same(&alone, &o)));
            assert_true(o.saved > 1);
            /* and the last of its checkpoints is good to go on from */
            const outcome again =
                run_job(&j, ranks > 1 ? ranks - 1 : 1, 0, NEVER, 0, true, in_folder("saved"));
            assert_true(everywhere(same(&alone, &again)));
            assert_true(again.mined.reused > 0);
        }
}

/* ---- batches ---- */

static const trm_draw_options draw = {.size = sizeof draw, .batches = 9, .classes = 4, .rows = 5, .seed = 2};

/* Those of the sources that batches are for: counted, listed, drawn, with filters; of one set. */
static bool is_for_batches(int s)
{
    return sources[s].source == TRM_SOURCE_MINED && sources[s].sets == ONE_SET;
}

static job make_batches_job(int s)
{
    job j = make_job_of(s, 1, 32);
    j.draw = &draw;
    j.gradient = !sources[s].listed;
    return j;
}

static void a_job_in_batches_that_is_stopped_after_any_ends_with_the_same_result(void **state)
{
    (void)state;
    int stops = 0, pieces = 0, goes_on = 0;
    for (int s = 0; s < SOURCES; s++) {
        if (!is_for_batches(s))
            continue;
        const job j = make_batches_job(s);
        const outcome alone = run_job(&j, 1, 0, NEVER, 0, false, NULL);
        const char *path = in_folder("batches");
        outcome o = {.status = TRM_ERR_STOPPED};
        int q = ranks, saved = 0;
        for (int turn = 0; o.status == TRM_ERR_STOPPED && turn < 200; turn++) {
            o = run_job(&j, q, (s + turn) % q, s % 3 + turn, TRM_WISH_STOP, saved > 0, path);
            saved += o.saved;
            stops += o.status == TRM_ERR_STOPPED;
            pieces += o.pieces;
            goes_on += o.mined.reused > 0;
            q = q == 1 ? ranks : q - 1;
        }
        if (!same(&alone, &o))
            fprintf(stderr, "source %d: status %d %s\n", s, (int)o.status, o.err.text);
        assert_true(everywhere(same(&alone, &o)));
    }
    assert_true(stops > SOURCES / 2 && pieces > SOURCES / 2 && goes_on > 3);
}

/* Saved now and then, and killed after that: what comes after a state, also a piece, is as if it had not been. */
static void a_job_in_batches_that_saves_on_its_way_can_go_on_from_each_state(void **state)
{
    (void)state;
    for (int s = 0; s < SOURCES; s++) {
        if (!is_for_batches(s))
            continue;
        const job j = make_batches_job(s);
        const outcome alone = run_job(&j, 1, 0, NEVER, 0, false, NULL);
        /* a set that is to be listed is counted first, in as many rounds */
        const int at = sources[s].listed ? ((int)draw.batches + ranks - 1) / ranks : 0;
        outcome o = run_job(&j, ranks, ranks - 1, at, TRM_WISH_SAVE, false, in_folder("saved"));
        assert_true(everywhere(same(&alone, &o)) && o.saved > 1 && o.pieces > 1);
        for (int q = 1; q <= ranks; q++) {
            o = run_job(&j, q, 0, q % 2 == 0 ? 2 : NEVER, TRM_WISH_SAVE, true, in_folder("saved"));
            if (!same(&alone, &o) || o.mined.reused == 0)
                fprintf(stderr, "source %d on %d ranks: status %d %s, reused %d\n", s, q, (int)o.status,
                        o.err.text, (int)o.mined.reused);
            assert_true(everywhere(same(&alone, &o)) && o.mined.reused > 0);
        }
    }
}

static void a_checkpoint_of_other_batches_is_refused(void **state)
{
    (void)state;
    trm_draw_options other = draw;
    job j = make_batches_job(0);
    outcome o = run_job(&j, ranks, 0, 1, TRM_WISH_STOP, false, in_folder("others"));
    assert_int_equal(o.status, TRM_ERR_STOPPED);
    other.seed++;
    j.draw = &other;
    o = run_job(&j, ranks, 0, NEVER, 0, true, in_folder("others"));
    assert_int_equal(o.status, TRM_ERR_DATA);
    assert_non_null(strstr(o.err.text, "is of other batches"));
}

static void a_set_of_all_batches_that_is_too_large_is_refused_with_its_size(void **state)
{
    (void)state;
    char want[80];
    job j = make_batches_job(9);
    assert_true(sources[9].listed);
    const outcome whole = run_job(&j, ranks, 0, NEVER, 0, false, NULL);
    assert_true(whole.status == TRM_OK && whole.mined.set_size > 100);
    j.options.mine.max_triplets = whole.mined.set_size;
    outcome o = run_job(&j, ranks, 0, NEVER, 0, false, NULL);
    assert_true(everywhere(same(&whole, &o)));
    j.options.mine.max_triplets--;
    o = run_job(&j, ranks, 0, NEVER, 0, false, NULL);
    snprintf(want, sizeof want, "%d triplets, more than the %d", (int)whole.mined.set_size,
             (int)whole.mined.set_size - 1);
    assert_int_equal(o.status, TRM_ERR_DATA);
    assert_non_null(strstr(o.err.text, want));
}

static void a_job_without_a_place_to_keep_its_state_stops_as_well(void **state)
{
    (void)state;
    const job j = make_job(TRM_SOURCE_MINED, "easiest", 1, 32);
    const outcome o = run_job(&j, ranks, 0, 1, TRM_WISH_STOP, false, NULL);
    assert_int_equal(o.status, TRM_ERR_STOPPED);
    assert_int_equal(o.saved, 0);
}

static void another_option_is_refused_and_named(void **state)
{
    (void)state;
    job j = make_job(TRM_SOURCE_MINED, "easiest", 1, 32);
    outcome o = run_job(&j, ranks, 0, 1, TRM_WISH_STOP, false, in_folder("option"));
    assert_int_equal(o.status, TRM_ERR_STOPPED);
    j.name = "b";
    o = run_job(&j, ranks, 0, NEVER, 0, true, in_folder("option"));
    assert_int_equal(o.status, TRM_ERR_USAGE);
    assert_non_null(strstr(o.err.text, "name is \"a\" there, \"b\" here"));
}

static void flip(const char *path, off_t at)
{
    if (rank == 0) {
        char byte = 0;
        int file = open(path, O_RDWR);
        if (file < 0 || pread(file, &byte, 1, at) != 1)
            MPI_Abort(MPI_COMM_WORLD, 1);
        byte ^= 0x10;
        if (pwrite(file, &byte, 1, at) != 1 || close(file) != 0)
            MPI_Abort(MPI_COMM_WORLD, 1);
    }
    MPI_Barrier(MPI_COMM_WORLD);
}

static void a_flipped_bit_anywhere_is_found(void **state)
{
    (void)state;
    const job j = make_job(TRM_SOURCE_MINED, "easiest", 1, 32);
    const char *path = in_folder("flipped");
    outcome o = run_job(&j, ranks, 0, 1, TRM_WISH_STOP, false, path);
    assert_int_equal(o.status, TRM_ERR_STOPPED);
    struct stat about;
    assert_int_equal(stat(path, &about), 0);
    for (off_t at = 0; at < about.st_size; at += about.st_size / 61) {
        flip(path, at);
        o = run_job(&j, ranks, 0, NEVER, 0, true, path);
        if (o.status != TRM_ERR_DATA || strstr(o.err.text, path) == NULL)
            fprintf(stderr, "byte %ld: status %d %s\n", (long)at, (int)o.status, o.err.text);
        assert_int_equal(o.status, TRM_ERR_DATA);
        assert_non_null(strstr(o.err.text, path));
        flip(path, at);
    }
    for (int part = 0; part < 8; part++) {
        if (rank == 0 && truncate(path, about.st_size * (7 - part) / 8) != 0)
            MPI_Abort(MPI_COMM_WORLD, 1);
        MPI_Barrier(MPI_COMM_WORLD);
        o = run_job(&j, ranks, 0, NEVER, 0, true, path);
        assert_int_equal(o.status, TRM_ERR_DATA);
    }
}

static void the_old_checkpoint_stays_where_a_new_one_cant_be_written(void **state)
{
    (void)state;
    const job j = make_job(TRM_SOURCE_MINED, "easiest", 1, 32);
    const outcome alone = run_job(&j, 1, 0, NEVER, 0, false, NULL);
    const char *path = in_folder("kept");
    outcome o = run_job(&j, ranks, 0, 1, TRM_WISH_STOP, false, path);
    assert_int_equal(o.status, TRM_ERR_STOPPED);
    if (rank == 0 && mkdir(in_folder(".kept.trimine-lock"), 0777) != 0) /* in the new one's way */
        MPI_Abort(MPI_COMM_WORLD, 1);
    MPI_Barrier(MPI_COMM_WORLD);
    o = run_job(&j, ranks, 0, 0, TRM_WISH_STOP, true, path);
    assert_true(o.status == TRM_ERR_CREATE || o.status == TRM_ERR_IO);
    assert_non_null(strstr(o.err.text, path));
    if (rank == 0)
        rmdir(in_folder(".kept.trimine-lock"));
    MPI_Barrier(MPI_COMM_WORLD);
    o = run_job(&j, ranks, 0, NEVER, 0, true, path);
    assert_true(same(&alone, &o));
}

int main(int argc, char **argv)
{
    start_mpi(&argc, &argv, 1200);
    make_store();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_that_is_stopped_at_any_unit_ends_with_the_same_result),
        cmocka_unit_test(a_job_in_panels_that_is_stopped_at_any_unit_ends_with_the_same_result),
        cmocka_unit_test(a_job_that_saves_on_its_way_ends_with_the_same_result),
        cmocka_unit_test(a_job_in_batches_that_is_stopped_after_any_ends_with_the_same_result),
        cmocka_unit_test(a_job_in_batches_that_saves_on_its_way_can_go_on_from_each_state),
        cmocka_unit_test(a_checkpoint_of_other_batches_is_refused),
        cmocka_unit_test(a_set_of_all_batches_that_is_too_large_is_refused_with_its_size),
        cmocka_unit_test(a_job_without_a_place_to_keep_its_state_stops_as_well),
        cmocka_unit_test(another_option_is_refused_and_named),
        cmocka_unit_test(a_flipped_bit_anywhere_is_found),
        cmocka_unit_test(the_old_checkpoint_stays_where_a_new_one_cant_be_written),
    };
    int failed = cmocka_run_group_tests(tests, make_folder, remove_folder);
    MPI_Finalize();
    return failed;
}
