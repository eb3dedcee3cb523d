/* Batches: drawn as the keys say and no more often than chance, the same on any number of ranks; and inside each
 * batch what brute force finds in its rows, to the bit. A failure prints the case's number, which is its seed. */
#include "base/hash_sum.h"
#include "base/random.h"
#include "mine/batches.h"
#include "mine/negatives.h"
#include "support/chi_square.h"
#include "support/mined.h"
#include "support/random_family.h"
#include "support/random_store.h"
#include "support/reference.h"
#include "support/reference_family.h"
#include "support/scratch.h"
#include "trimine/trimine.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { CASES = 60, FAMILY_CASES = RANDOM_FAMILIES };

static void *memory(int64_t count, size_t size)
{
    void *made = calloc((size_t)count + 1, size);
    if (made == NULL)
        abort();
    return made;
}

static int compare_ids(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* ---- a store on the ranks of a communicator ---- */

typedef struct dealt {
    MPI_Comm comm;
    trm_run *run;
    trm_rows *rows;
    trm_batch batch;
    int64_t first;
} dealt;

/* Where each rank's rows start: evenly, or raggedly by the seed. */
static void share(const random_store *store, uint64_t seed, int at, int of, int64_t *first, int64_t *last)
{
    test_random random = {seed};
    int64_t cut[64] = {0};
    for (int r = 1; r < of; r++)
        cut[r] = seed % 2 == 0 ? store->rows * r / of : test_random_below(&random, store->rows + 1);
    qsort(cut, (size_t)of, sizeof *cut, compare_ids);
    cut[of] = store->rows;
    *first = cut[at];
    *last = cut[at + 1];
}

static trm_status deal(MPI_Comm comm, const random_store *store, uint64_t seed, dealt *d, trm_error *err)
{
    int at, of;
    int64_t last;
    trm_run_options options;
    MPI_Comm_rank(comm, &at);
    MPI_Comm_size(comm, &of);
    share(store, seed, at, of, &d->first, &last);
    trm_run_options_init(&options);
    options.threads = 1 + (int)(seed % 3);
    options.replicate = seed % 5 == 0 ? of : 1;
    options.tile = 32;
    d->comm = comm;
    d->batch = (trm_batch){.count = last - d->first,
                           .dim = store->dim,
                           .embeddings = store->embeddings + d->first * store->dim,
                           .labels = store->labels + d->first};
    trm_status status = trm_run_create(comm, &options, &d->run, err);
    if (status == TRM_OK)
        status = trm_rows_create(d->run, d->batch.count, store->dim, d->batch.embeddings, d->batch.labels,
                                 store->ignore_count, store->ignore_label, &d->rows, err);
    return status;
}

static void undeal(dealt *d)
{
    trm_rows_destroy(&d->rows);
    trm_run_destroy(&d->run);
}

/* The bytes of all ranks, one after the other, on every rank; to be freed. */
static void *gather(MPI_Comm comm, const void *bytes, int64_t count, size_t size, int64_t *total)
{
    int of, mine = (int)(count * (int64_t)size);
    MPI_Comm_size(comm, &of);
    int *sizes = memory(of, sizeof *sizes), *starts = memory(of, sizeof *starts), all = 0;
    MPI_Allgather(&mine, 1, MPI_INT, sizes, 1, MPI_INT, comm);
    for (int r = 0; r < of; all += sizes[r++])
        starts[r] = all;
    void *got = memory(all, 1);
    MPI_Allgatherv(bytes, mine, MPI_BYTE, got, sizes, starts, MPI_BYTE, comm);
    *total = all / (int64_t)size;
    free(sizes);
    free(starts);
    return got;
}

/* ---- the draw, by brute force ---- */

typedef struct lot {
    uint64_t key;
    int64_t id;
} lot;

static int compare_lots(const void *a, const void *b)
{
    const lot *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static bool takes_part(const random_store *store, int64_t row)
{
    for (int64_t i = 0; i < store->ignore_count; i++)
        if (store->labels[row] == store->ignore_label[i])
            return false;
    return true;
}

/* The labels of the rows that take part, each once. */
static int64_t *classes_of(const random_store *store, int64_t *classes)
{
    int64_t *label = memory(store->rows, sizeof *label), rows = 0;
    for (int64_t i = 0; i < store->rows; i++)
        if (takes_part(store, i))
            label[rows++] = store->labels[i];
    qsort(label, (size_t)rows, sizeof *label, compare_ids);
    *classes = 0;
    for (int64_t i = 0; i < rows; i++)
        if (i == 0 || label[i] != label[i - 1])
            label[(*classes)++] = label[i];
    return label;
}

/* Row ids of batch number b, ascending; returns how many. */
static int64_t draw_one(const random_store *store, const trm_draw_options *options, int64_t b, int64_t *row)
{
    int64_t classes, drawn = 0;
    int64_t *label = classes_of(store, &classes);
    lot *of_class = memory(classes, sizeof *of_class), *of_row = memory(store->rows, sizeof *of_row);
    for (int64_t c = 0; c < classes; c++)
        of_class[c] = (lot){trm_batches_class_key(options->seed, b, label[c]), label[c]};
    qsort(of_class, (size_t)classes, sizeof *of_class, compare_lots);
    for (int64_t c = 0; c < options->classes; c++) {
        int64_t rows = 0;
        for (int64_t i = 0; i < store->rows; i++)
            if (store->labels[i] == of_class[c].id)
                of_row[rows++] = (lot){trm_batches_row_key(options->seed, b, i), i};
        qsort(of_row, (size_t)rows, sizeof *of_row, compare_lots);
        for (int64_t i = 0; i < rows && i < options->rows; i++)
            row[drawn++] = of_row[i].id;
    }
    qsort(row, (size_t)drawn, sizeof *row, compare_ids);
    free(label);
    free(of_class);
    free(of_row);
    return drawn;
}

/* All batches of all ranks, on every rank. */
typedef struct listed {
    int64_t count, *length, *row;
} listed;

static listed gather_batches(MPI_Comm comm, const trm_batches *batches)
{
    listed all = {0};
    int64_t rows = 0;
    int64_t *length = memory(batches->count, sizeof *length);
    for (int64_t b = 0; b < batches->count; b++)
        length[b] = batches->start[b + 1] - batches->start[b];
    all.length = gather(comm, length, batches->count, sizeof *length, &all.count);
    all.row = gather(comm, batches->row, batches->count > 0 ? batches->start[batches->count] : 0,
                     sizeof *batches->row, &rows);
    free(length);
    return all;
}

static void forget(listed *all)
{
    free(all->length);
    free(all->row);
}

/* every: how many batches to go on by. */
static bool is_the_draw(const random_store *store, const trm_draw_options *options, const listed *all,
                        int64_t every)
{
    bool good = all->count == options->batches;
    int64_t *row = memory(store->rows, sizeof *row);
    for (int64_t b = 0, at = 0; b < all->count && good; at += all->length[b++]) {
        if (b % every != 0)
            continue;
        const int64_t count = draw_one(store, options, b, row);
        good = count == all->length[b] && memcmp(row, all->row + at, (size_t)count * sizeof *row) == 0;
    }
    free(row);
    return good;
}

static trm_draw_options draw_of(uint64_t seed, int64_t classes)
{
    test_random random = {seed + 77};
    static const int64_t rows[] = {1, 2, 4, 1000};
    return (trm_draw_options){.size = sizeof(trm_draw_options),
                              .batches = 1 + test_random_below(&random, 9),
                              .classes = 1 + test_random_below(&random, classes),
                              .rows = rows[test_random_below(&random, 4)],
                              .seed = test_random_next(&random)};
}

static void each_batch_has_the_classes_and_rows_with_the_smallest_keys(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < CASES; seed++) {
        random_store store;
        int64_t classes;
        dealt d = {0};
        trm_batches batches = {0};
        trm_error err = TRM_ERROR_INIT;
        random_store_create(seed, &store);
        free(classes_of(&store, &classes));
        if (classes > 0) {
            const trm_draw_options options = draw_of(seed, classes);
            bool good = deal(MPI_COMM_WORLD, &store, seed, &d, &err) == TRM_OK &&
                        trm_batches_draw(d.run, d.rows, &options, &batches, &err) == TRM_OK;
            if (good) {
                listed all = gather_batches(MPI_COMM_WORLD, &batches);
                good = is_the_draw(&store, &options, &all, 1);
                forget(&all);
            }
            if (!good)
                fprintf(stderr, "case %d: %s\n", (int)seed, err.text);
            trm_batches_free(&batches);
            undeal(&d);
            assert_true(everywhere(good));
        }
        random_store_destroy(&store);
    }
}

/* ---- the draw, by chance ---- */

enum { CLASSES = 12, ROWS_A_CLASS = 8, DRAWS = 30000, P = 4, K = 3 };

/* Sum of (observed - expected)^2 / expected, each cell of which is drawn without replacement, with the
 * chance p; so that it is a chi-square of one degree less than there are cells. */
static double chi_square(const int64_t *seen, int cells, double draws, double p)
{
    double sum = 0.0;
    for (int i = 0; i < cells; i++)
        sum += ((double)seen[i] - draws * p) * ((double)seen[i] - draws * p) / (draws * p);
    return sum * (cells - 1) / (cells * (1.0 - p));
}

enum { SELDOM = 2000 }; /* chance exceeds these once in so many draws */

static bool likely(double sum, int cells)
{
    return chi_square_above(sum, cells - 1) > 1.0 / SELDOM;
}

/* Labels and row ids are not the numbers of the classes: what is near in these must not be so in the draw. */
static void classes_and_rows_are_drawn_evenly(void **state)
{
    (void)state;
    enum { ROWS = CLASSES * ROWS_A_CLASS };
    float x[ROWS];
    int64_t labels[ROWS];
    for (int i = 0; i < ROWS; i++) {
        x[i] = 1.0F;
        labels[i] = 3 * (i % CLASSES) - 7;
    }
    const random_store store = {ROWS, 1, x, labels, 0, {0, 0, 0}, "even", false};
    const trm_draw_options options = {
        .size = sizeof options, .batches = DRAWS, .classes = P, .rows = K, .seed = 12};
    dealt d = {0};
    trm_batches batches = {0};
    trm_error err = TRM_ERROR_INIT;
    bool good = deal(MPI_COMM_WORLD, &store, 1, &d, &err) == TRM_OK &&
                trm_batches_draw(d.run, d.rows, &options, &batches, &err) == TRM_OK;
    assert_true(everywhere(good));
    int64_t class[CLASSES] = {0}, row[ROWS] = {0}, two[CLASSES * CLASSES] = {0}, next[CLASSES] = {0};
    bool before[CLASSES] = {false};
    listed all = gather_batches(MPI_COMM_WORLD, &batches);
    for (int64_t b = 0, at = 0; b < all.count; b++) {
        bool here[CLASSES] = {false};
        good = good && all.length[b] == P * K;
        for (const int64_t end = at + all.length[b]; at < end; at++) {
            row[all.row[at]]++;
            here[all.row[at] % CLASSES] = true;
        }
        for (int i = 0; i < CLASSES; i++) {
            class[i] += here[i];
            next[i] += here[i] && before[i];
            for (int k = i + 1; k < CLASSES; k++)
                two[i * CLASSES + k] += here[i] && here[k];
        }
        memcpy(before, here, sizeof before);
    }
    assert_true(everywhere(good && all.count == DRAWS && is_the_draw(&store, &options, &all, DRAWS / 100)));
    const double p = (double)P / CLASSES;
    assert_true(everywhere(likely(chi_square(class, CLASSES, DRAWS, p), CLASSES)));
    for (int i = 0; i < CLASSES; i++) { /* of the times that a class was drawn */
        int64_t of_class[ROWS_A_CLASS];
        for (int k = 0; k < ROWS_A_CLASS; k++)
            of_class[k] = row[i + k * CLASSES];
        assert_true(everywhere(likely(
            chi_square(of_class, ROWS_A_CLASS, (double)class[i], (double)K / ROWS_A_CLASS), ROWS_A_CLASS)));
    }
    /* any two classes together, and one in two batches that follow each other */
    for (int i = 0; i < CLASSES; i++) {
        const double repeated = DRAWS * p * p;
        assert_true(everywhere(fabs((double)next[i] - repeated) < 5.0 * sqrt(repeated)));
        for (int k = i + 1; k < CLASSES; k++) {
            const double both = DRAWS * p * (P - 1.0) / (CLASSES - 1.0);
            assert_true(everywhere(fabs((double)two[i * CLASSES + k] - both) < 5.0 * sqrt(both)));
        }
    }
    forget(&all);
    trm_batches_free(&batches);
    undeal(&d);
}

static void a_batch_does_not_depend_on_how_many_are_drawn(void **state)
{
    (void)state;
    random_store store;
    random_store_create(8, &store);
    int64_t classes, lengths = 0;
    free(classes_of(&store, &classes));
    dealt d = {0};
    trm_error err = TRM_ERROR_INIT;
    bool good = deal(MPI_COMM_WORLD, &store, 1, &d, &err) == TRM_OK;
    assert_true(everywhere(good));
    listed all[2];
    for (int i = 0; i < 2; i++) {
        const trm_draw_options options = {
            .size = sizeof options, .batches = i == 0 ? 5 : 23, .classes = classes, .rows = 2, .seed = 3};
        trm_batches batches;
        good = good && trm_batches_draw(d.run, d.rows, &options, &batches, &err) == TRM_OK;
        all[i] = gather_batches(MPI_COMM_WORLD, &batches);
        trm_batches_free(&batches);
    }
    for (int b = 0; b < 5; b++)
        lengths += all[0].length[b];
    good = good && memcmp(all[0].length, all[1].length, 5 * sizeof(int64_t)) == 0 &&
           memcmp(all[0].row, all[1].row, (size_t)lengths * sizeof(int64_t)) == 0;
    assert_true(everywhere(good));
    for (int i = 0; i < 2; i++)
        forget(&all[i]);
    undeal(&d);
    random_store_destroy(&store);
}

/* ---- mining ---- */

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
    memcpy(b->items + b->count, *triplets, (size_t)count * sizeof **triplets);
    b->count += count;
    return TRM_OK;
}

/* What a job gives: all triplets in order, how many each batch has, gradient bytes. */
typedef struct outcome {
    trm_status status;
    trm_error err;
    listed batches;
    trm_triplet *triplets;
    int64_t count, *each;
    float *gradient;
    int64_t elements;
    trm_mine_summary mined;
    trm_loss_summary loss;
} outcome;

static outcome work(MPI_Comm comm, const random_store *store, uint64_t seed, const trm_draw_options *draw,
                    const trm_evaluate_options *given)
{
    outcome o = {.err = TRM_ERROR_INIT};
    dealt d = {0};
    trm_batches batches = {0};
    bag b = {0};
    o.status = deal(comm, store, seed, &d, &o.err);
    if (o.status == TRM_OK)
        o.status = trm_batches_draw(d.run, d.rows, draw, &batches, &o.err);
    trm_evaluate_options options = *given;
    options.batches = &batches;
    float *gradient = memory(d.batch.count * store->dim, sizeof *gradient);
    trm_loss_part part = {0};
    if (o.status == TRM_OK)
        o.status = trm_evaluate(d.run, d.rows, &d.batch, &options, put_in_bag, &b, gradient, &o.mined,
                                &o.loss, &part, &o.err);
    if (o.status == TRM_OK) {
        int64_t *each = memory(batches.count, sizeof *each), none;
        for (int64_t i = 0; i < batches.count; i++)
            each[i] = batches.triplets[i + 1] - batches.triplets[i];
        o.batches = gather_batches(comm, &batches);
        o.each = gather(comm, each, batches.count, sizeof *each, &none);
        o.triplets = gather(comm, b.items, b.count, sizeof *b.items, &o.count);
        o.gradient = gather(comm, gradient, d.batch.count * store->dim, sizeof *gradient, &o.elements);
        free(each);
    }
    free(gradient);
    free(b.items);
    trm_batches_free(&batches);
    undeal(&d);
    return o;
}

static void throw_away(outcome *o)
{
    forget(&o->batches);
    free(o->triplets);
    free(o->each);
    free(o->gradient);
}

static trm_evaluate_options options_of(uint64_t seed)
{
    static const char *const positives[] = {"all",       "hardest",   "easiest",
                                            "nearest:1", "nearest:2", "nearest:3"};
    test_random random = {seed + 5};
    trm_evaluate_options options;
    trm_evaluate_options_init(&options);
    options.mine.metric = options.loss.metric = (trm_metric)(seed % 4);
    options.mine.positives = positives[test_random_below(&random, 6)];
    options.mine.window = (trm_window)test_random_below(&random, 3);
    options.mine.pick = (trm_pick)test_random_below(&random, 2);
    options.mine.fallback = (trm_fallback)test_random_below(&random, 3);
    options.loss.reduction = (trm_reduction)(seed % 5);
    options.loss.swap = test_random_below(&random, 4) == 0;
    return options;
}

/* The store, of which only the rows of a batch take part; its labels are to be freed. */
static reference_store only_batch(const random_store *store, const int64_t *row, int64_t count)
{
    static int64_t other;
    int64_t *label = memory(store->rows, sizeof *label);
    other = 0; /* and so on, until no row has it */
    for (int64_t i = 0; i < store->rows; i++)
        if (store->labels[i] == other) {
            other++;
            i = -1;
        }
    for (int64_t i = 0; i < store->rows; i++)
        label[i] = other;
    for (int64_t i = 0; i < count; i++)
        label[row[i]] = store->labels[row[i]];
    return (reference_store){store->rows, store->dim, store->embeddings, label, &other, 1, 0.0};
}

/* Batch b's triplets, which are those from `from` on, and the reference's, which go into the hash. */
static const char *batch_differs(const outcome *o, int64_t b, int64_t from, const trm_triplet *want,
                                 int64_t count, trm_hash_sum *hash)
{
    if (count != o->each[b] || from + count > o->count)
        return "the number of triplets of a batch";
    for (int64_t k = 0; k < count; k++) {
        if (memcmp(&want[k], &o->triplets[from + k], sizeof *want) != 0)
            return "a triplet";
        trm_hash_sum_add_keyed(hash, b, &want[k], offsetof(trm_triplet, rank));
    }
    return NULL;
}

/* Adds up what the reference finds in each batch, and compares. */
static const char *differs(const random_store *store, const trm_evaluate_options *options, const outcome *o)
{
    trm_mine_options mine = options->mine;
    mine.metric = options->loss.metric;
    const char *wrong = NULL;
    trm_mine_summary sum = {0};
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    char text[33];
    for (int64_t b = 0, at = 0, from = 0; b < o->batches.count && wrong == NULL;
         at += o->batches.length[b++]) {
        const reference_store batch = only_batch(store, o->batches.row + at, o->batches.length[b]);
        reference_result want;
        reference_mine(&batch, &mine, &want);
        wrong = batch_differs(o, b, from, want.triplets, want.count, &hash);
        from += want.count;
        sum.anchors.total += want.summary.anchors.total;
        sum.anchors.valid += want.summary.anchors.valid;
        sum.anchors.no_positive += want.summary.anchors.no_positive;
        sum.anchors.no_negative += want.summary.anchors.no_negative;
        sum.positive_pairs += want.summary.positive_pairs;
        sum.triplets.skipped += want.summary.triplets.skipped;
        sum.triplets.semihard += want.summary.triplets.semihard;
        sum.triplets.fallback += want.summary.triplets.fallback;
        reference_destroy(&want);
        free((int64_t *)(uintptr_t)batch.labels);
        if (b == o->batches.count - 1 && wrong == NULL && from != o->count)
            wrong = "the number of triplets";
    }
    const trm_mine_summary *got = &o->mined;
    trm_hash_sum_text(&hash, text);
    if (wrong == NULL && strcmp(text, got->result_hash) != 0)
        wrong = "the hash of numbers of batches and triplets";
    if (wrong == NULL &&
        (got->anchors.total != sum.anchors.total || got->anchors.valid != sum.anchors.valid ||
         got->anchors.no_positive != sum.anchors.no_positive ||
         got->anchors.no_negative != sum.anchors.no_negative))
        wrong = "the anchors";
    if (wrong == NULL &&
        (got->positive_pairs != sum.positive_pairs || got->triplets.total != o->count ||
         got->triplets.semihard != sum.triplets.semihard || got->triplets.fallback != sum.triplets.fallback ||
         got->triplets.skipped != sum.triplets.skipped))
        wrong = "the counts";
    if (wrong == NULL && (o->loss.valid != sum.anchors.valid || o->loss.rows != sum.anchors.total))
        wrong = "the denominators";
    return wrong;
}

static const char *differ(const outcome *a, const outcome *b)
{
    if (a->count != b->count || memcmp(a->triplets, b->triplets, (size_t)a->count * sizeof *a->triplets) != 0)
        return "the triplets";
    if (strcmp(a->mined.result_hash, b->mined.result_hash) != 0)
        return "the hash";
    if (memcmp(&a->loss.sum, &b->loss.sum, sizeof a->loss.sum) != 0 || a->loss.active != b->loss.active ||
        memcmp(&a->loss.value, &b->loss.value, sizeof a->loss.value) != 0)
        return "the loss";
    if (memcmp(a->gradient, b->gradient, (size_t)a->elements * sizeof *a->gradient) != 0)
        return "the gradient";
    return NULL;
}

static void batches_agree_with_the_reference_on_any_ranks(void **state)
{
    (void)state;
    int64_t with_triplets = 0;
    for (uint64_t seed = 0; seed < CASES; seed++) {
        random_store store;
        int64_t classes;
        random_store_create(seed, &store);
        free(classes_of(&store, &classes));
        if (classes > 0 && !store.denormal) {
            const trm_draw_options draw = draw_of(seed, classes);
            const trm_evaluate_options options = options_of(seed);
            outcome here = work(MPI_COMM_WORLD, &store, seed, &draw, &options);
            outcome alone = work(MPI_COMM_SELF, &store, 0, &draw, &options);
            const char *wrong = here.status != TRM_OK || alone.status != TRM_OK ? here.err.text : NULL;
            if (wrong == NULL)
                wrong = differs(&store, &options, &here);
            if (wrong == NULL)
                wrong = differ(&here, &alone);
            if (wrong != NULL)
                fprintf(stderr, "case %d, %s: %s\n", (int)seed, store.flavour, wrong);
            with_triplets += here.count > 0;
            const bool good = wrong == NULL;
            throw_away(&here);
            throw_away(&alone);
            assert_true(everywhere(good));
        }
        random_store_destroy(&store);
    }
    assert_true(with_triplets > CASES / 4);
}

/* ---- the family ---- */

/* The seed inside batch b, as docs/DETERMINISM.md has it. */
static uint64_t seed_inside(uint64_t seed, int64_t b)
{
    uint32_t word[4];
    trm_random_bits(seed, UINT64_C(1) << 62, (uint64_t)b, word);
    return (uint64_t)word[1] << 32 | word[0];
}

static void add_up(const family_result *of, family_result *sum)
{
    sum->anchors.total += of->anchors.total;
    sum->anchors.valid += of->anchors.valid;
    sum->anchors.no_positive += of->anchors.no_positive;
    sum->anchors.no_negative += of->anchors.no_negative;
    sum->anchors.fell_short += of->anchors.fell_short;
    sum->positive_pairs += of->positive_pairs;
    sum->total += of->total;
    sum->fallback += of->fallback;
    sum->skipped += of->skipped;
    for (int f = 0; f < FAMILY_FILTERS; f++)
        sum->removed[f] += of->removed[f];
}

/* As differs, with any policy. */
static const char *family_differs(const random_store *store, const family_options *family,
                                  const trm_mine_options *options, const outcome *o)
{
    const char *wrong = NULL;
    family_result sum = {0};
    trm_hash_sum hash = TRM_HASH_SUM_INIT;
    char text[33];
    for (int64_t b = 0, at = 0, from = 0; b < o->batches.count && wrong == NULL;
         at += o->batches.length[b++]) {
        const reference_store batch = only_batch(store, o->batches.row + at, o->batches.length[b]);
        family_options inside = *family;
        family_result want;
        inside.seed = seed_inside(family->seed, b);
        family_mine(&batch, &inside, &want);
        wrong = batch_differs(o, b, from, want.triplets, want.count, &hash);
        from += want.count;
        add_up(&want, &sum);
        family_destroy(&want);
        free((int64_t *)(uintptr_t)batch.labels);
    }
    for (int64_t i = 0; i < store->rows; i++)
        sum.anchors.ignored += !takes_part(store, i);
    trm_hash_sum_text(&hash, text);
    if (wrong == NULL && strcmp(text, o->mined.result_hash) != 0)
        wrong = "the hash of numbers of batches and triplets";
    if (wrong == NULL && sum.total != o->count)
        wrong = "the number of triplets";
    return wrong != NULL ? wrong
                         : mined_differing_count(&sum, &o->mined, trm_negatives_are_set(options), true);
}

enum { NEGATIVES = 10 }; /* policies of negatives, as numbers of random_family.h go through them */

/* had: of each policy of negatives, in how many cases there were triplets. */
static bool family_case(int number, int64_t *had)
{
    random_store store;
    random_family family;
    char ranks_text[MINED_RANKS];
    int64_t classes;
    bool good = true;
    random_store_create((uint64_t)number, &store);
    free(classes_of(&store, &classes));
    if (classes > 0 && !store.denormal) {
        const int policies = number * 7 % RANDOM_FAMILIES;
        random_family_create((uint64_t)policies, &store, &family);
        family.options.lists = false;
        const trm_draw_options draw = draw_of((uint64_t)number, classes);
        trm_evaluate_options options;
        trm_evaluate_options_init(&options);
        options.mine = mined_options(&family.options, ranks_text);
        options.mine.emit_sets = true;
        options.loss.metric = family.options.metric;
        outcome here = work(MPI_COMM_WORLD, &store, (uint64_t)number, &draw, &options);
        outcome alone = work(MPI_COMM_SELF, &store, 0, &draw, &options);
        const char *wrong = here.status != TRM_OK || alone.status != TRM_OK ? here.err.text : NULL;
        if (wrong == NULL)
            wrong = family_differs(&store, &family.options, &options.mine, &here);
        if (wrong == NULL)
            wrong = differ(&here, &alone);
        if (wrong != NULL) {
            char text[1024];
            random_family_describe(&family, text, sizeof text);
            fprintf(stderr, "case %d, %s: %s\n  %s\n", number, store.flavour, wrong, text);
        }
        had[policies / 4 % NEGATIVES] += here.count > 0;
        good = wrong == NULL;
        throw_away(&here);
        throw_away(&alone);
    }
    random_store_destroy(&store);
    return good;
}

static void batches_agree_with_the_reference_of_every_policy(void **state)
{
    (void)state;
    int64_t had[NEGATIVES] = {0};
    for (int number = 0; number < FAMILY_CASES; number++)
        assert_true(everywhere(family_case(number, had)));
    for (int i = 0; i < NEGATIVES; i++)
        if (had[i] < 3)
            fail_msg("policy %d had triplets only %d times", i, (int)had[i]);
}

/* More rows than are fetched at once. */
static void batches_of_several_rounds_agree_with_the_reference(void **state)
{
    (void)state;
    enum { ROWS = 60, DIM = 4096 };
    test_random random = {31};
    random_store store = {.rows = ROWS, .dim = DIM, .flavour = "wide"};
    store.embeddings = memory(ROWS * DIM, sizeof *store.embeddings);
    store.labels = memory(ROWS, sizeof *store.labels);
    for (int64_t i = 0; i < (int64_t)ROWS * DIM; i++)
        store.embeddings[i] = test_random_unit(&random);
    for (int64_t i = 0; i < ROWS; i++)
        store.labels[i] = i % 6;
    const trm_draw_options draw = {
        .size = sizeof draw, .batches = 21 * ranks, .classes = 6, .rows = 6, .seed = 1};
    trm_evaluate_options options;
    trm_evaluate_options_init(&options);
    options.mine.positives = "hardest";
    options.mine.window = TRM_WINDOW_NONE;
    options.mine.fallback = TRM_FALLBACK_HARDEST;
    outcome o = work(MPI_COMM_WORLD, &store, 1, &draw, &options);
    const char *wrong = o.status != TRM_OK ? o.err.text : differs(&store, &options, &o);
    if (wrong != NULL)
        fprintf(stderr, "%s\n", wrong);
    const bool good = wrong == NULL && o.count == 36 * draw.batches;
    throw_away(&o);
    random_store_destroy(&store);
    assert_true(everywhere(good));
}

/* The loss of batches is that of their triplets as a list. */
static void loss_and_gradient_are_those_of_the_list_of_triplets(void **state)
{
    (void)state;
    random_store store;
    int64_t classes = 0, lists = 0;
    for (uint64_t seed = 6; classes < 3; seed++) {
        random_store_create(seed, &store);
        store.ignore_count = 0;
        free(classes_of(&store, &classes));
        if (store.denormal || store.rows < 40)
            classes = 0;
        if (classes < 3)
            random_store_destroy(&store);
    }
    const trm_draw_options draw = {
        .size = sizeof draw, .batches = 11, .classes = classes, .rows = 3, .seed = 4};
    for (uint64_t seed = 0; seed < 8; seed++) {
        trm_evaluate_options options = options_of(seed);
        options.loss.reduction = (trm_reduction)(seed % 3);
        options.mine.fallback = TRM_FALLBACK_HARDEST;
        outcome o = work(MPI_COMM_WORLD, &store, seed, &draw, &options);
        dealt d = {0};
        trm_error err = TRM_ERROR_INIT;
        bool good = o.status == TRM_OK && deal(MPI_COMM_WORLD, &store, seed, &d, &err) == TRM_OK;
        if (!good)
            fprintf(stderr, "case %d: %s%s\n", (int)seed, o.err.text, err.text);
        assert_true(everywhere(good));
        int64_t *id[3], all = 0, count = rank == ranks - 1 ? o.count : 0;
        for (int i = 0; i < 3; i++)
            id[i] = memory(o.count, sizeof **id);
        for (int64_t k = 0; k < count; k++) {
            id[0][k] = o.triplets[k].anchor;
            id[1][k] = o.triplets[k].positive;
            id[2][k] = o.triplets[k].negative;
        }
        options.source = TRM_SOURCE_GIVEN;
        options.given = (trm_given_triplets){count, id[0], id[1], id[2]};
        outcome list = {0};
        float *gradient = memory(d.batch.count * store.dim, sizeof *gradient);
        good = trm_evaluate(d.run, d.rows, &d.batch, &options, NULL, NULL, gradient, &list.mined, &list.loss,
                            NULL, &err) == TRM_OK;
        float *whole = gather(MPI_COMM_WORLD, gradient, d.batch.count * store.dim, sizeof *gradient, &all);
        good = good && o.loss.count == list.loss.count && o.loss.active == list.loss.active &&
               memcmp(&o.loss.value, &list.loss.value, sizeof o.loss.value) == 0 &&
               memcmp(whole, o.gradient, (size_t)all * sizeof *whole) == 0;
        lists += list.loss.active > 0;
        for (int i = 0; i < 3; i++)
            free(id[i]);
        free(whole);
        free(gradient);
        throw_away(&o);
        undeal(&d);
        assert_true(everywhere(good));
    }
    assert_true(lists > 0);
    random_store_destroy(&store);
}

/* ---- what is refused ---- */

static const float four[] = {0.0F, 1.0F, 3.0F, 7.0F};
static const int64_t four_labels[] = {0, 0, 1, 5};

static random_store store_of_four(void)
{
    return (random_store){
        4, 1, (float *)(uintptr_t)four, (int64_t *)(uintptr_t)four_labels, 1, {5, 0, 0}, "four", false};
}

/* Two good batches on every rank; the last rank's second one is bad. */
static void a_bad_batch_is_named(void **state)
{
    (void)state;
    static const struct {
        int64_t row[2], count;
        const char *what;
    } cases[] = {{{0, 4}, 2, "4 is not a row id, which go from 0 to 3"},
                 {{-1, 2}, 2, "-1 is not a row id, which go from 0 to 3"},
                 {{2, 2}, 2, "row 2 is in it twice"},
                 {{2, 1}, 2, "row 1 comes after row 2"},
                 {{2, 3}, 2, "row 3 has the label 5, which is to be ignored"},
                 {{0, 0}, 0, "has no rows"}};
    const random_store store = store_of_four();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bool last = rank == ranks - 1;
        int64_t start[] = {0, 3, 5}, row[] = {0, 1, 2, 0, 2};
        trm_batches batches = {.count = 2, .start = start, .row = row};
        dealt d = {0};
        trm_error err = TRM_ERROR_INIT;
        trm_mine_summary summary;
        trm_loss_summary loss;
        trm_evaluate_options options;
        char want[200];
        if (last) {
            start[2] = 3 + cases[i].count;
            memcpy(row + 3, cases[i].row, sizeof cases[i].row);
        }
        trm_evaluate_options_init(&options);
        options.batches = &batches;
        bool good = deal(MPI_COMM_WORLD, &store, 1, &d, &err) == TRM_OK;
        assert_true(everywhere(good));
        const trm_status status =
            trm_evaluate(d.run, d.rows, &d.batch, &options, NULL, NULL, NULL, &summary, &loss, NULL, &err);
        snprintf(want, sizeof want, "batch %d: %s", 2 * ranks - 1, cases[i].what);
        good = status == TRM_ERR_DATA && strcmp(err.text, want) == 0;
        if (!good)
            fprintf(stderr, "want '%s', got %d '%s'\n", want, (int)status, err.text);
        undeal(&d);
        assert_true(everywhere(good));
    }
}

static void draws_that_make_no_sense_are_refused(void **state)
{
    enum { SIZE = sizeof(trm_draw_options) };
    (void)state;
    const random_store store = store_of_four();
    static const struct {
        trm_draw_options draw;
        const char *what;
    } cases[] = {{{SIZE, 1, 3, 1, 0}, "3 classes a batch: the store has 2"},
                 {{SIZE, 0, 1, 1, 0}, "batches 0:"},
                 {{SIZE, 1, 0, 1, 0}, "classes 0:"},
                 {{SIZE, 1, 1, 0, 0}, "rows 0:"},
                 {{SIZE, INT64_MAX >> 3, 2, 4, 0},
                  "1152921504606846975 batches of 2 classes and 4 rows of each: more rows"},
                 {{0, 1, 1, 1, 0}, "trm_draw_options.size is 0"}};
    dealt d = {0};
    trm_error none = TRM_ERROR_INIT;
    bool good = deal(MPI_COMM_WORLD, &store, 1, &d, &none) == TRM_OK;
    assert_true(everywhere(good));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        trm_error err = TRM_ERROR_INIT;
        trm_batches batches;
        good = trm_batches_draw(d.run, d.rows, &cases[i].draw, &batches, &err) == TRM_ERR_USAGE &&
               strncmp(err.text, cases[i].what, strlen(cases[i].what)) == 0 && batches.row == NULL;
        if (!good)
            fprintf(stderr, "want '%s', got '%s'\n", cases[i].what, err.text);
        assert_true(everywhere(good));
    }
    undeal(&d);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_batch_has_the_classes_and_rows_with_the_smallest_keys),
        cmocka_unit_test(classes_and_rows_are_drawn_evenly),
        cmocka_unit_test(a_batch_does_not_depend_on_how_many_are_drawn),
        cmocka_unit_test(batches_agree_with_the_reference_on_any_ranks),
        cmocka_unit_test(batches_agree_with_the_reference_of_every_policy),
        cmocka_unit_test(batches_of_several_rounds_agree_with_the_reference),
        cmocka_unit_test(loss_and_gradient_are_those_of_the_list_of_triplets),
        cmocka_unit_test(a_bad_batch_is_named),
        cmocka_unit_test(draws_that_make_no_sense_are_refused),
    };
    start_mpi(&argc, &argv, 1200);
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MPI_Finalize();
    return failed;
}
