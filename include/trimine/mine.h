/* Mining: for every anchor of the whole store, its positives by a policy and for each its negatives by another.
 *
 * A semihard negative n of (a, p) has another label and d(a,n) > d(a,p), strictly (FaceNet, Schroff et al.
 * 2015, section 3.2). Every distance is the canonical float64 one, every tie goes to the lower row id, so the
 * result is the same on any number of ranks and threads.
 *
 * Needs ask.h, metric.h and status.h; of runs (run.h) only their name, and so no mpi.h. */
#ifndef TRIMINE_MINE_H
#define TRIMINE_MINE_H

#include "trimine/metric.h"
#include "trimine/abi.h"
#include "trimine/ask.h"
#include "trimine/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What all of it works on: run.h. */
typedef struct trm_run trm_run;

/* The rows of a store, spread over the ranks and arranged by label. Opaque. */
typedef struct trm_rows trm_rows;

typedef enum trm_window {
    TRM_WINDOW_NONE, /* any farther negative */
    TRM_WINDOW_LT,   /* d(a,n) - d(a,p) < margin */
    TRM_WINDOW_LE    /* d(a,n) - d(a,p) <= margin */
} trm_window;

typedef enum trm_pick {
    TRM_PICK_NEAREST,
    TRM_PICK_FARTHEST,
    TRM_PICK_RANDOM /* drawn by the seed */
} trm_pick;

typedef enum trm_fallback {
    TRM_FALLBACK_SKIP,
    TRM_FALLBACK_FARTHEST_INSIDE, /* the largest d(a,n) <= d(a,p), or skip */
    TRM_FALLBACK_HARDEST,         /* the smallest d(a,n) of all */
    TRM_FALLBACK_RANDOM           /* any, drawn by the seed */
} trm_fallback;

/* What the ranks of trm_mine_options.ranks count: all negatives of the anchor, or those that the filters left. */
typedef enum trm_rank_order { TRM_RANK_BEFORE, TRM_RANK_AFTER } trm_rank_order;

/* Of which rows of the store an anchor's negatives may be at all. */
typedef enum trm_shortlist {
    TRM_SHORTLIST_NONE, /* of all */
    /* Of the first C by (d, id), the anchor's positives among them, as sentence-transformers' mine_hard_negatives has it: C = B + P,
     * P the most positives of any anchor and B the last of ranks, which count what the filters left. Where these have no
     * end, B = A - 1 + K + P, with a filter that removes what is near A - 1 + 10 K + P. */
    TRM_SHORTLIST_ST
} trm_shortlist;

/* The filters of candidates, in the order in which one that is removed is charged. */
typedef enum trm_filter {
    TRM_FILTER_MIN_DISTANCE,
    TRM_FILTER_MAX_DISTANCE,
    TRM_FILTER_ABSOLUTE_MARGIN,
    TRM_FILTER_RELATIVE_MARGIN,
    TRM_FILTER_NOT_NEAR_POSITIVE,
    TRM_FILTERS
} trm_filter;

/* This rank's part of a list of pairs: row ids of a query and of a row of the store that is its positive. Borrowed. */
typedef struct trm_pair_list {
    int64_t count;
    const int64_t *query, *positive;
} trm_pair_list;

/* Equal on all ranks, but for what is reserved, and the rows and pairs that each has. */
typedef struct trm_mine_options {
    size_t size; /* set by trm_mine_options_init */
    trm_metric metric;
    double margin; /* >= 0, finite */
    /* Which of its class an anchor is paired with: "all", "hardest" (the largest d(a,p)), "easiest" (the smallest),
     * "nearest:K" (the K smallest), "random:K" (K drawn by the seed). Borrowed. */
    const char *positives;
    /* What a pair gets: "semihard" (by window, pick and fallback), "hard" (the nearest negative of all, whatever
     * d(a,p)), "topk:K" (the K nearest), "random:K" (K of all, drawn by the seed; "random": one), "weighted:K"
     * (drawn with weights by l2 distance); or a set, by d(a,n) - d(a,p): "within-margin" (more than 0, at most the margin),
     * "hard-all" (at most 0), "easy-all" (more than the margin), "violating" (at most the margin), or
     * "multisimilarity:E" (Wang et al. 2019). Where semihard does not apply, kind is 0. Borrowed. */
    const char *negatives;
    trm_window window;
    trm_pick pick;
    trm_fallback fallback;
    bool lone;       /* a row without a positive makes a triplet too: positive -1, d_ap 0 */
    int64_t reserve; /* bytes of a rank's limit that the caller needs meanwhile, for the memory plan */
    /* Of hard, topk, random and weighted; others refuse them. Only the negatives of these ranks by (d, id) may be chosen: "A-B", from
     * 1, both ends with them, or "A-", to the end. NULL: all. Borrowed. */
    const char *ranks;
    trm_rank_order rank_order;
    /* Only the negatives that pass may be chosen; NAN: not given. d_pos: of the anchor's farthest selected
     * positive. */
    double min_distance, max_distance; /* d >= min, d <= max; 0 or more, unless dot */
    double absolute_margin;            /* d >= d_pos + x */
    /* sql2, l2: d >= d_pos (1 + r). cosine, dot: s <= s_pos - |s_pos| r, s = 1 - d or -d. r >= 0. */
    double relative_margin;
    /* Of negatives that are a set: list its triplets, after they have been counted, if there are no more than
     * max_triplets; else they are counted only. */
    bool emit_sets;
    int64_t max_triplets; /* >= 0 */
    /* Of what is drawn: the key of row n for anchor a is u = ((first word << 32 | second) >> 11) + 0.5, times 2^-53,
     * of the words of Philox 4x32-10 with the key (seed) and the counter (n, a), low words first. The smallest (u, n)
     * are drawn; weighted: the smallest (log(-log u) - log w, n). */
    uint64_t seed;
    /* Another filter: only the negatives that are farther than this from every selected positive of the anchor; 0 drops
     * the copies of positives. NAN: not given; 0 or more, unless dot. */
    double not_near_positive;
    /* Of a set that is listed, and of queries: further bytes that the caller needs for each triplet of the anchor that has most of them,
     * which shows when the set was counted. */
    int64_t reserve_a_triplet;
    /* Two sets: anchors are these rows, made by trm_rows_create_queries, positives and negatives rows of the store: none is a
     * row's own by its place. NULL: one set. On all ranks or none; borrowed. */
    const trm_rows *queries;
    /* Positives are exactly the listed ones, and all other rows of the store negatives, whatever labels say; a repeated pair
     * counts once. The store was made by trm_rows_create_by_id. NULL: by label. On all ranks or none; borrowed. */
    const trm_pair_list *pairs;
    bool and_labels; /* with pairs: a row of the store with the query's label is no negative, either */
    trm_shortlist shortlist; /* with all positives, and ranks that count after the filters */
} trm_mine_options;

typedef enum trm_kind { TRM_KIND_SEMIHARD = 0, TRM_KIND_FALLBACK = 1 } trm_kind;

/* One mined triplet, in row ids of the store. */
typedef struct trm_triplet {
    int64_t anchor, positive, negative;
    double d_ap, d_an;
    int64_t kind; /* trm_kind */
    int64_t rank; /* of the negative among those chosen for (anchor, positive): 1, 2, ... without gaps */
} trm_triplet;

/* Everything counted, equal on all ranks. */
typedef struct trm_mine_summary {
    struct {
        int64_t total;       /* rows that take part; of two sets, queries */
        int64_t valid;       /* with at least one positive and one negative */
        int64_t no_positive; /* without a positive */
        int64_t no_negative; /* with a positive, but without a negative */
        int64_t ignored;     /* rows dropped by their label */
    } anchors;
    int64_t classes;        /* among the store's rows that take part; 0: arranged by id */
    int64_t positive_pairs; /* selected ordered pairs of valid anchors */
    struct {
        int64_t total, semihard, fallback, skipped;
    } triplets;
    struct {
        int64_t elements;         /* unordered pairs of rows multiplied */
        int64_t survivors;        /* of these, the pairs the kernel could not rule out */
        int64_t float64;          /* of the elements, those that a canonical distance decided */
    } certify, certify_positives; /* the negatives sweep; the positives sweep */
    int64_t reused;               /* of their elements, those that an earlier run had multiplied */
    char result_hash[33];         /* order-independent sum of XXH3-128 over the triplets, hex; the ranks are
                                     not in it: the options and the triplets say which is which */
    int panels; /* passes over the anchors that the memory limit asked for; 1: none needed */
    double arrange_s, positives_s, negatives_s, answers_s; /* largest of any rank */
    int64_t memory_bytes; /* what the formula predicts for a rank, the largest */
    struct {
        int64_t removed[TRM_FILTERS]; /* candidates, by the first filter that removes them */
        int64_t short_anchors;        /* valid ones with fewer negatives than asked for: K, hard: 1 */
    } filters;
    int64_t set_size;       /* triplets of a policy of negatives that is a set, listed or not; else 0 */
    int64_t repeated_pairs; /* pairs of trm_mine_options.pairs that were in the list before */
    struct {
        int64_t after[2]; /* pairs that each stage of the kernel left; the last are the survivors */
    } stages, stages_positives;
    trm_chain_use chains[TRM_CHAINS]; /* those that there were to choose from */
    double prepare_s; /* what the sweeps share: mean and norms, a basis, packing; largest of any rank */
} trm_mine_summary;

/* One rank's part, for the report. */
typedef struct trm_mine_part {
    int64_t rows, triplets;
    double compute_s, wait_s;
} trm_mine_part;

/* Arranges rows that each rank has in memory. Rank r's rows follow rank r-1's: their row ids count on.
 * Collective on the run's communicator. embeddings: count x dim, float32, row-major, finite; labels: count;
 * both borrowed for the call only. count may be 0, with NULL for both, and differ by rank; dim >= 1 and
 * the labels to ignore are equal on all. ignore_label: ignore_count labels whose rows take no part, in any
 * order; NULL with 0. The caller owns *rows; NULL after a failure. Errors: USAGE (count, dim, ignore_count,
 * NULL with rows or with labels to ignore, dim or labels to ignore that differ),
 * MEMORY, DATA (a value that is not finite in a row that takes part: the lowest such row id is named; more
 * than 2^31-1 rows on a rank). */
TRM_API trm_status trm_rows_create(trm_run *run, int64_t count, int dim, const float *embeddings,
                                   const int64_t *labels, int64_t ignore_count, const int64_t *ignore_label,
                                   trm_rows **rows, trm_error *err) TRM_MUST_CHECK;

/* The same for a store that lists of pairs are about: its rows are arranged by their row ids. labels: NULL on all
 * ranks where there are none, else as above; only trm_mine_options.and_labels looks at them. Collective. Errors: as above. */
TRM_API trm_status trm_rows_create_by_id(trm_run *run, int64_t count, int dim, const float *embeddings,
                                         const int64_t *labels, trm_rows **rows,
                                         trm_error *err) TRM_MUST_CHECK;

/* The queries that are mined against a store: rows of its dimension, arranged and spread over the ranks as its rows
 * are, on the same run. labels: as of the store; what the store ignores is ignored here. The store's rows are not looked at
 * again. Collective. Errors: as trm_rows_create. */
TRM_API trm_status trm_rows_create_queries(trm_run *run, const trm_rows *store, int64_t count,
                                           const float *embeddings, const int64_t *labels, trm_rows **queries,
                                           trm_error *err) TRM_MUST_CHECK;

/* Ranks a team, as chosen. Not collective. */
TRM_API int trm_rows_replicate(const trm_rows *rows);

/* Frees and sets *rows to NULL. Collective. */
TRM_API void trm_rows_destroy(trm_rows **rows);

/* Takes this rank's triplets of one panel, sorted by (anchor, positive, negative) row ids; each anchor comes
 * to one rank, once. Called on every rank the same number of times (count may be 0), so it may be collective.
 * *triplets is borrowed for the call, or taken: who wants to keep the array sets *triplets to NULL and frees
 * it, with free(), in the end. */
typedef trm_status (*trm_triplet_fn)(void *context, trm_triplet **triplets, int64_t count, trm_error *err);

/* Fills in: sql2, margin 1, all positives, window lt, pick nearest, fallback skip, no ranks, no filters, seed 0.
 * Not collective. */
TRM_API void trm_mine_options_init_sized(trm_mine_options *options, size_t size);
static inline void trm_mine_options_init(trm_mine_options *options)
{
    trm_mine_options_init_sized(options, sizeof *options);
}

/* K: the most negatives that a selected (anchor, positive) gets; 0: of a set, of which there may be any number. Not
 * collective. */
TRM_API int64_t trm_mine_negatives(const trm_mine_options *options);

/* Fills in summary->anchors and summary->classes, of one set. Collective. */
TRM_API void trm_mine_count_anchors(const trm_run *run, const trm_rows *rows, trm_mine_summary *summary);

/* What trm_mine would need: fills in summary->memory_bytes and panels; of a set, what counting it needs, since
 * what listing it needs shows then. Collective. Errors: as trm_mine, from
 * the arguments and the plan. */
TRM_API trm_status trm_mine_plan(trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                                 trm_mine_summary *summary, trm_error *err) TRM_MUST_CHECK;

/* Mines the whole store. Collective; options equal on all ranks. emit may be NULL (count only), part too, on
 * some ranks or all. Errors: USAGE (a value that is none, options that differ), DATA (cosine and a row of
 * norm 0: the lowest such row id is named; a set to be listed of more than max_triplets), MEMORY (with the smallest limit that would do), and whatever emit
 * returns. */
TRM_API trm_status trm_mine(trm_run *run, const trm_rows *rows, const trm_mine_options *options,
                            trm_triplet_fn emit, void *context, trm_mine_summary *summary,
                            trm_mine_part *part, trm_error *err) TRM_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
