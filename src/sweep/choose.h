/* Which chain of filters a sweep's tiles go through: a kernel, and where it looks at some coordinates first, how many.
 *
 * No rule tells which is the fastest: it depends on the rows, on how narrow their windows are by now, and on the
 * CPU. So all of them are tried on a sample of pairs of real rows with their windows as they are, and the time of each is taken,
 * with that of the float64 distances that its survivors will need. That is done again as the sweep goes on and
 * windows become narrower. Ranks choose for themselves; results never depend on the choice. Inner to sweep/. */
#ifndef TRM_SWEEP_CHOOSE_H
#define TRM_SWEEP_CHOOSE_H

#include "sweep/sample.h"

typedef struct trm_chooser {
    trm_chain chain[TRM_CHAINS]; /* equal on all ranks */
    int count;                   /* 1: there is nothing to choose */
    int plain;                   /* which of them is the kernel of one stage that is always there */
    int first;                   /* what sweeps begin with */
    int chosen;
    trm_sample *sample;        /* of the region that is worked on; NULL before its first trial */
    int last[TRM_RELATIONS];   /* for that relation: where the next such sweep begins */
    bool in_turn;              /* for tests */
    bool hopeless[TRM_CHAINS]; /* in the present sweep */
    double trial_s;            /* what the last trial took, without the packing of its sample */
    trm_ahead ahead[TRM_RELATIONS];
    double ns[TRM_CHAINS];      /* of a thread a pair, when last tried; 0: never */
    double pack_ns[TRM_CHAINS]; /* of a thread, to pack a row */
} trm_chooser;

/* Does a run choose, and are so many rows, with themselves or those of another set, enough for a trial? The same on all
 * ranks. */
bool trm_chooser_pays(const trm_run *run, const trm_rows *rows, const trm_rows *other);

/* Does a sweep of these rows need a basis? The same on all ranks. */
bool trm_chooser_needs_basis(const trm_run *run, const trm_rows *rows, const trm_rows *other);

/* Does a run choose whose sweeps are so short that a basis has to promise something before it is made? The same on all ranks. */
bool trm_chooser_is_short(const trm_run *run, const trm_rows *rows, const trm_rows *other);

/* The chains that a run may use for rows of that map: one, or, where trials pay, all that it may choose from. promises: its
 * basis was made because rows lie near few directions; then positives are sought with it, until a trial says otherwise. */
void trm_chooser_begin(trm_chooser *chooser, const trm_run *run, const trm_map *map, bool pays,
                       bool promises);

/* Begins a sweep, with the chain that was the last for such a one. farthest: its rows keep the farthest, which a chain that goes by the
 * windows' far ends alone never rules out. */
void trm_chooser_start(trm_chooser *chooser, trm_relation relation, bool farthest);

/* Another region begins, or none: gives up what trials of the last one keep. */
void trm_chooser_leave(trm_chooser *chooser);

/* A block for the chosen chain. Errors: MEMORY. Owned by the caller. */
trm_status trm_chooser_block(const trm_chooser *chooser, const trm_map *map, int64_t capacity,
                             trm_block **block, trm_error *err) TRM_MUST_CHECK;

/* Bytes of a block for whichever chain may be chosen, or is expected to be, and of a trial. */
int64_t trm_chooser_block_bytes(const trm_run *run, const trm_rows *rows, const trm_rows *other,
                                int64_t capacity);
int64_t trm_chooser_trial_bytes(const trm_run *run, const trm_rows *rows, const trm_rows *other);

/* The part of all pairs of two sides that a sweep has a use for, roughly. */
double trm_chooser_share(const trm_tiles *tiles);

/* What a trial costs on that many threads, in pairs of a sweep on as many. first: of a region, which packs its sample. */
double trm_chooser_pairs(const trm_chooser *chooser, int threads, bool first);

/* Are the rows of a side packed for the chosen chain? */
bool trm_chooser_has_packed(const trm_chooser *chooser, const trm_side *side);

/* Tries the chains on tiles of a region of which that many pairs are left to do, and chooses. seen: the part of the whole
 * sweep that is done; each: the rows that a row meets in it. The sides need not be packed. Where memory is lacking the choice stays. Not collective; no other thread may be at
 * work: it uses that many. */
void trm_chooser_try(trm_chooser *chooser, const trm_tiles *tiles, double left, double seen, double each,
                     int threads);

#endif
