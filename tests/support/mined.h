/* What tests that compare mining with a reference share: random ways to run a job, which must not matter, and all
 * ranks' triplets on rank 0. Start MPI by start_mpi of scratch.h. */
#ifndef TESTS_SUPPORT_MINED_H
#define TESTS_SUPPORT_MINED_H

#include "support/random_sets.h"
#include "support/random_store.h"
#include "support/reference_family.h"
#include "trimine/mine.h"
#include "trimine/run.h"

/* How a job is run: its options, and how the rows are dealt to the ranks. */
typedef struct random_run {
    trm_run_options options;
    int deal;
} random_run;

/* A kernel, threads, a tile size, a replication of the ranks that there are, a deal. */
void random_run_draw(test_random *random, random_run *run);
/* On stderr, one line. */
void random_run_describe(const random_run *run);
/* Where each rank's rows start, first[0..ranks], by the run's way to deal, which may be ragged. */
void random_run_deal(test_random *random, const random_run *run, int64_t rows, int64_t *first);

/* The triplets of a job: this rank's, and in the end all of them on rank 0, sorted. */
typedef struct mined {
    trm_triplet *triplets; /* owned */
    int64_t count, room;
    int unsorted; /* did any rank get triplets out of order? */
} mined;

/* Mines the store as dealt. The caller owns *out, also after a failure. Collective. */
trm_status mined_run(const random_store *store, const random_run *run, const int64_t *first,
                     const trm_mine_options *options, mined *out, trm_mine_summary *summary, trm_error *err);
/* The same of two sets, each dealt in a way of its own, as is the list of pairs. Fills in the sets in options, for this
 * call. Collective. */
trm_status mined_run_sets(const random_sets *sets, const random_run *run, const int64_t *queries_first,
                          const int64_t *store_first, const int64_t *pairs_first, trm_mine_options *options,
                          mined *out, trm_mine_summary *summary, trm_error *err);
void mined_destroy(mined *out);

/* On rank 0: what is wrong with the triplets, told on stderr with the first that differs, or NULL. */
const char *mined_differs(const mined *got, const trm_triplet *want, int64_t count);

/* Options of the family as the library takes them. ranks_text: room for the text of its ranks. */
enum { MINED_RANKS = 64 };
trm_mine_options mined_options(const family_options *family, char ranks_text[MINED_RANKS]);
/* An order goes with ranks only, of which all may be meant. */
bool mined_has_ranks(const family_options *family);

/* The first count that differs, or NULL. listed: the triplets were, and not counted only, as a set may be. */
const char *mined_differing_count(const family_result *want, const trm_mine_summary *got, bool set,
                                  bool listed);

#endif
