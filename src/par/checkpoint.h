/* How a job is stopped and saved, as the library sees it: somebody who wishes for it, and a place that takes
 * the state and gives it back. The library knows the state; files and signals are the caller's.
 *
 * Long work goes in units of about a second, of which all ranks do the same number. After each they agree on
 * what any of them wishes; so all of them save, or stop, at the same unit. */
#ifndef TRM_PAR_CHECKPOINT_H
#define TRM_PAR_CHECKPOINT_H

#include "base/error.h"
#include "trimine/run.h"

#include <stdbool.h>
#include <stdint.h>

/* A part of the state: this rank's words [first, first + count) of an array of total words of 8 bytes, equal
 * in name and total on all ranks. Ranks cut it as they like, so others can read it. */
typedef struct trm_checkpoint_part {
    const char *name;
    int64_t total, first, count;
    void *words; /* borrowed */
} trm_checkpoint_part;

/* Volumes of what is kept: the state, and the finished pieces that it builds on, 0, 1, ... */
enum { TRM_CHECKPOINT_STATE = -1 };

struct trm_checkpoint {
    /* What this rank wishes for, at any time; holds until save was called. Not collective, main thread. */
    int (*wish)(void *context);
    /* Takes the state, whole; NULL where there is no place to keep it. Collective. stop: the job ends now. */
    trm_status (*save)(void *context, int parts, const trm_checkpoint_part *part, bool stop, trm_error *err);
    /* Keeps a finished piece, which no later save repeats, until the job is done. A state that is saved after
     * it needs it; one that was saved before does not mind. Collective. */
    trm_status (*set_aside)(void *context, int64_t piece, int parts, const trm_checkpoint_part *part,
                            trm_error *err);
    /* The length of an array of the state; -1 for none of that name. The same on all ranks. */
    int64_t (*size)(void *context, const char *name);
    /* Reads words back from a volume; parts may overlap between ranks. Collective. Errors: DATA, IO. */
    trm_status (*load)(void *context, int64_t volume, int parts, const trm_checkpoint_part *part,
                       trm_error *err);
    void *context;
    bool resumes; /* there is a state to go on from */
    bool
        keeps_end; /* the state is saved where the work ends, too: what comes after it, such as a file, may fail */
    int64_t unit_tiles; /* tiles a unit, and of a job in batches one batch; 0: about a second's work */
};

#endif
