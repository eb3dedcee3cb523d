/* K of an anchor's negatives, of those that ranks and filters leave: hard, topk, random and weighted where there are
 * any (SEMANTICS: docs/MINING.md, "Filters and ranks").
 *
 * What is kept of an anchor are ascending lists, long enough that the answer is in them whatever the filters will say.
 * Where ranks have an end B:
 *  - if they count before the filters, the B nearest of all. Each has with it what it is chosen by, or that a filter
 *    removed it; so what filters removed of these ranks is counted when the anchor is answered;
 *  - if they count after, the B nearest of those that pass. What the filters removed is counted in the sweep.
 * Where they have none, filters are asked in the sweep, which counts what they removed:
 *  - the list is of what passes, by what it is chosen by;
 *  - where ranks begin at A, a second list of the A - 1 nearest (of all, or of what passes) says which of the first
 *    are too near, and which of those that were counted have no part in it. The first is so much longer. */
#ifndef TRM_MINE_CHOICE_H
#define TRM_MINE_CHOICE_H

#include "mine/negatives.h"

/* Gives the policy the query that keeps such lists. */
void trm_choice_begin(trm_negatives *negatives);
/* Was it? */
bool trm_choice_is_asked(const trm_negatives *negatives);
/* Where that query takes what it asks for by --not-near-positive, if it does: the ids of the rows near any of an anchor's
 * positives, ascending, then INT64_MAX. It is the state's last field, and alone in its shape. */
int64_t *trm_choice_near(const trm_state *state, int64_t row, int64_t *room);
/* Of how many of an anchor's nearest negatives the choice nearly always follows, where it goes by the nearest and what a filter
 * removes beside what is near a positive is not counted in the sweep; else 0. Then to offer these to the query does what a
 * sweep would do, for every anchor whose window does not reach beyond them. */
int64_t trm_choice_first_look(const trm_negatives *negatives);
/* Of a trm_negatives_policy, once that query is settled. answer serves any list of draws that is field 0. */
int64_t trm_choice_answer(const trm_negatives *negatives, const trm_state *state, int64_t row,
                          const trm_candidate *pair, int64_t i, trm_answer *answers);
void trm_choice_removed(const trm_negatives *negatives, const trm_state *state, int64_t row,
                        int64_t removed[TRM_FILTERS]);
void trm_choice_removed_in_sweeps(const trm_negatives *negatives, const int64_t *tally, int64_t candidates,
                                  int64_t removed[TRM_FILTERS]);

#endif
