/* The whole mining family by brute force: every policy, filter and rank window as its text says it, one
 * anchor after the other, in float64.
 *
 * Shares no code with the library but the random bits (base/random), so that a mistake in one shows in the
 * other. Cubic: small stores only.
 *
 * Where the rules leave room, it is filled here:
 *  - A draw is u(a, n) = (((b0 << 32 | b1) >> 11) + 0.5) * 2^-53, b the random bits of (seed, stream a, index
 *    n), a and n row ids. The smallest (u, id) is drawn first.
 *  - weighted: the smallest (log(-log u) - log w, id) is drawn first, where log w =
 *    (2 - D) * log(d) - (D - 3) / 2 * log(1 - d * d / 4), evaluated in this order, d = max(0.5, l2 distance).
 *    For cosine the l2 distance is that of the unit rows, sqrt(2 * cosine distance); for the other metrics
 *    that of the rows as they are. w = 0 where d >= 1.4: never drawn.
 *  - A triplet's rank is its negative's place among those chosen for its pair, from 1: by (d, id), but for
 *    random and weighted in the order of the draw.
 *  - d_pos of the filters is the largest selected d(a,p). Relative margin: d_n >= d_pos * (1 + r) for sql2
 *    and l2; s_n <= s_pos - |s_pos| * r for cosine (s = 1 - d) and dot (s = -d).
 *  - Lists have a line for every selected pair, also where no negative was found.
 *  - Ranks and filters are for hard, topk, random and weighted; other policies take no notice of them.
 *  - An anchor without a positive, with lone, has one pair: positive -1, d 0, which is near nothing. It is counted as
 *    an anchor without a positive, and in all that pairs and triplets are counted in. */
#ifndef TESTS_SUPPORT_REFERENCE_FAMILY_H
#define TESTS_SUPPORT_REFERENCE_FAMILY_H

#include "support/reference.h"

/* In the order in which a removed candidate is charged. */
enum {
    FAMILY_MIN_DISTANCE,
    FAMILY_MAX_DISTANCE,
    FAMILY_ABSOLUTE_MARGIN,
    FAMILY_RELATIVE_MARGIN,
    FAMILY_NOT_NEAR_POSITIVE,
    FAMILY_FILTERS
};

enum { FAMILY_WITHIN_MARGIN, FAMILY_HARD_ALL, FAMILY_EASY_ALL, FAMILY_VIOLATING, FAMILY_SETS };

typedef struct family_filter {
    bool given;
    double value;
} family_filter;

/* Words as the program's options have them. */
typedef struct family_options {
    trm_metric metric;
    double margin;
    const char *positives; /* all, hardest, easiest, nearest:K, random:K */
    const char *negatives; /* semihard, hard, topk:K, random:K, weighted:K, within-margin, hard-all, easy-all,
                              violating, multisimilarity:E */
    const char *window;    /* none, lt, le */
    const char *pick;      /* nearest, farthest, random */
    const char *fallback;  /* skip, farthest-inside, hardest, random */
    uint64_t seed;
    int64_t rank_from, rank_to; /* 1, INT64_MAX: all of them */
    bool rank_order_after;      /* ranks count what the filters left */
    family_filter filter[FAMILY_FILTERS];
    bool lone;            /* an anchor without a positive makes triplets, too */
    bool lists;           /* fill in the lists: for the policies with one negative a pair, or K */
    int64_t list_at_most; /* triplets; where there are more none is listed, only counted */
} family_options;

/* A row of the store that is a positive of a query. */
typedef struct family_pair {
    int64_t query, positive;
} family_pair;

/* What is mined against what. One set: every row of the store is an anchor, and of the other rows those with its label
 * are positives, the others negatives. Two sets: anchors are the rows of queries, all others rows of the store, of which
 * none is left out for its place. Without a list they go by label; labels to ignore are the same in both. */
typedef struct family_sets {
    const reference_store *store;
    const reference_store *queries; /* NULL: one set */
    bool
        listed; /* positives are exactly those of the list, all other rows of the store negatives; no row is ignored,
                  * and labels may be NULL */
    bool and_labels;         /* with a list: a row with the query's label that is not listed is neither */
    const family_pair *pair; /* in any order, also repeated */
    int64_t pairs;
} family_sets;

/* Of the triplets' values: sums are exact and rounded once. */
typedef struct family_statistics {
    int64_t count;
    double mean, std; /* std: sqrt(n Q - S S) / n, the difference formed exactly, Q of the squares */
    double min, lower_quartile, median, upper_quartile,
        max; /* numpy's "linear" quantiles; 0 without values */
} family_statistics;

typedef struct family_result {
    struct {
        int64_t total, valid, no_positive, no_negative, ignored;
        int64_t fell_short; /* got fewer negatives than the policy asks for: K, hard: 1; 0 for the others */
    } anchors;
    int64_t repeated_pairs; /* of the list, those that are in it before */
    int64_t positive_pairs; /* selected, of valid anchors and those of lone ones */
    int64_t total;          /* triplets, listed or not */
    int64_t fallback;       /* of these, with kind 1 */
    int64_t skipped;        /* pairs without a triplet, of policies that give a pair so many; else 0 */
    int64_t removed[FAMILY_FILTERS];
    int64_t sets[FAMILY_SETS];              /* sizes over the selected positives, whatever the policy */
    int64_t kept_positives, kept_negatives; /* multisimilarity: of all anchors */
    trm_triplet *triplets;                  /* by (anchor, positive, negative); owned; NULL if not listed */
    int64_t count;                          /* total, or 0 if not listed */
    family_statistics d_ap, d_an, gap;      /* of the listed triplets; gap = d_an - d_ap */
    struct {
        int64_t lines, width; /* width: the policy's K */
        int64_t *anchor, *positive;
        int64_t *negative; /* lines x width, in order of rank, -1 where there is none */
        double *d_ap;
        double *d_an; /* lines x width, infinity where there is none */
    } lists; /* by (anchor, positive), of pairs without a negative, too, which results leave out; owned */
} family_result;

/* Everything as by default: sql2, margin 1, all positives, semihard, window lt, nearest, skip, no ranks, no
 * filters, no lists, all triplets listed. */
void family_options_init(family_options *options);

/* Mines by brute force; stops the program when out of memory or at a word that is none. The caller owns
 * *result. */
void family_mine(const reference_store *store, const family_options *options, family_result *result);
void family_mine_sets(const family_sets *sets, const family_options *options, family_result *result);
void family_destroy(family_result *result);

/* The draw of (a, n). */
double family_uniform(uint64_t seed, int64_t a, int64_t n);

/* log w of a negative at this l2 distance; -INFINITY where it is never drawn. */
double family_log_weight(int dim, double l2);

/* Sorts the values. */
family_statistics family_describe(double *values, int64_t count);

#endif
