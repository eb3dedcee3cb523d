/* The negatives policies: what each pair of an anchor and a positive gets. */
#ifndef TRM_MINE_NEGATIVES_H
#define TRM_MINE_NEGATIVES_H

#include "base/word.h"
#include "mine/filter.h"
#include "sweep/query.h"
#include "trimine/mine.h"

typedef struct trm_negatives trm_negatives;

/* One negative of a pair. */
typedef struct trm_answer {
    int64_t id;
    double d;
    trm_kind kind;
} trm_answer;

/* What an anchor gets of a policy that is a set. */
typedef struct trm_set_size {
    int64_t triplets;  /* of all its pairs */
    int64_t negatives; /* different ones in them */
} trm_set_size;

/* Which options a policy takes note of. */
enum {
    TRM_TAKES_WINDOW = 1 << 0,  /* window, pick, fallback */
    TRM_TAKES_FILTERS = 1 << 1, /* ranks, filters */
    TRM_TAKES_SEED = 1 << 2,
    TRM_TAKES_MARGIN = 1 << 3 /* also where there is no window */
};

typedef struct trm_negatives_policy {
    trm_word word; /* first, so that a word found is a policy found */
    const trm_query_type *query;
    unsigned takes;
    /* Makes what the query needs to know from the options, or hands on to another policy; NULL: nothing. */
    void (*begin)(trm_negatives *negatives);
    /* Of a policy that draws K negatives for all pairs of an anchor: what candidate i is drawn by, the smallest (key, id)
     * first; anything larger than worst where it is. INFINITY: never drawn. NULL: the nearest are chosen. */
    double (*key)(const trm_negatives *negatives, int64_t anchor, const trm_seen *seen, int64_t i,
                  double worst);
    /* The most negatives that a pair gets; NULL: of a set, which may be all. */
    int64_t (*most)(const trm_negatives *negatives);
    /* Of a set: the query above counts, and after its sweep this says what row gets, of so many negatives that it
     * has. The query of listing then finds these negatives, with a slot of its last shape for each. Else NULL. */
    trm_set_size (*size)(const trm_negatives *negatives, const trm_state *state, int64_t row,
                         const trm_candidate *pair, int64_t pairs, int64_t others);
    const trm_query_type *listing;
    /* After the sweep was settled: the negatives of pair i of row, in the order of their ranks, into answer, which
     * has room for the most. pair: the row's positives by (d, id). Returns how many. */
    int64_t (*answer)(const trm_negatives *negatives, const trm_state *state, int64_t row,
                      const trm_candidate *pair, int64_t i, trm_answer *answer);
    /* Of a policy that takes filters, to what filters removed in all: of an anchor that was answered, what its answer
     * shows; and of all sweeps of all ranks, what they counted, of so many candidates. Either may be NULL. */
    void (*removed)(const trm_negatives *negatives, const trm_state *state, int64_t row,
                    int64_t removed[TRM_FILTERS]);
    void (*removed_in_sweeps)(const trm_negatives *negatives, const int64_t *tally, int64_t candidates,
                              int64_t removed[TRM_FILTERS]);
} trm_negatives_policy;

/* The table's rows, a file each. */
extern const trm_negatives_policy trm_negatives_semihard, trm_negatives_hard, trm_negatives_topk,
    trm_negatives_within_margin, trm_negatives_hard_all, trm_negatives_easy_all, trm_negatives_violating,
    trm_negatives_multisimilarity, trm_negatives_random, trm_negatives_weighted;
/* Of packed triplets only. */
extern const trm_negatives_policy trm_negatives_reversed;
/* Semihard where it draws: its begin hands on to this one. */
extern const trm_negatives_policy trm_negatives_semihard_random;
/* The table: the words that there are over a store, and those for an anchor's own negatives. */
extern const trm_words trm_negatives_words, trm_own_negatives_words;

/* A policy with what it was asked for: settings of its query. */
struct trm_negatives {
    trm_query query; /* whose settings are this object, which must stay where it is */
    const trm_negatives_policy *policy;
    trm_mine_options options;
    trm_filters filters;
    int64_t rows;    /* of the store that take part */
    int64_t count;   /* of a word with a whole number, no more than there are rows; else 0 */
    double number;   /* of a word with any other */
    int dim;         /* of the rows */
    int question[2]; /* the policy's own */
    double bound;    /* so is this */
};

/* The most negatives of a policy that gives a pair one. */
int64_t trm_negatives_one(const trm_negatives *negatives);

/* options->negatives is one of the words, of either table. rows: of the store that take part, and the numbers in each. */
void trm_negatives_choose(trm_negatives *negatives, const trm_mine_options *options, int64_t rows, int dim);
/* Do ranks and filters apply to the policy, if there are any, and are they what they can be? Errors: USAGE. */
trm_status trm_negatives_check(const trm_mine_options *options, trm_error *err) TRM_MUST_CHECK;
/* May so many triplets of a set be listed? Errors: DATA. */
trm_status trm_negatives_check_listed(const trm_mine_options *options, int64_t triplets,
                                      trm_error *err) TRM_MUST_CHECK;
/* Does the policy take note of these options (TRM_TAKES_...)? */
bool trm_negatives_take(const trm_mine_options *options, unsigned what);
/* Does an anchor get so many negatives, whatever the pair, so that it may come up short of them? */
bool trm_negatives_ask_for_many(const trm_negatives_policy *policy);
bool trm_negatives_may_come_short(const trm_mine_options *options);
/* Is the policy a set: counted, and listed only where the options say so? */
bool trm_negatives_are_set(const trm_mine_options *options);
/* Is it the one that is no triplet loss? */
bool trm_negatives_are_reversed(const trm_mine_options *options);
/* The most negatives that a pair gets; 0: of a set, of which it may be any number. */
int64_t trm_negatives_most(const trm_mine_options *options, int64_t rows);
/* Does the policy take every distance, so that no filter helps it (trm_run_for_sweeps)? */
bool trm_negatives_take_every_pair(const trm_mine_options *options);

#endif
