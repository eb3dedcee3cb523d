/* What callers pass in, before anything relies on it: each value within its range, and equal on all ranks.
 *
 * A rank whose dim or metric is not the others' would hang the job or bend its result without a word. So each
 * public collective function lists its settings here first: one small broadcast and one agreement (what
 * PnetCDF does in its safe mode; here it is always on, since a call takes far longer). */
#ifndef TRM_PAR_ARGUMENTS_H
#define TRM_PAR_ARGUMENTS_H

#include "options/option.h"
#include "par/agree.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct trm_argument {
    const char *owner, *name; /* "loss.", "margin" */
    const char *type;         /* of an enum; NULL: a number */
    bool real;                /* word has the bits of a float64, within low and high */
    bool optional;            /* of a real number: NAN is fine */
    double low, high;         /* of a real number, as least and most of a trm_option */
    const char *text;         /* word is its hash; NULL: no text */
    const trm_words *words;   /* that text may be; NULL: any */
    int64_t word, least, most;
} trm_argument;

enum { TRM_ARGUMENTS_MOST = 64 };

/* The same number of arguments on all ranks, whatever their values. Begin with {.count = 0}. */
typedef struct trm_arguments {
    const char *owner; /* in front of the names that follow; NULL: nothing */
    int count;
    trm_argument argument[TRM_ARGUMENTS_MOST];
} trm_arguments;

/* Add one. type has the values 0 to last; a real number must be finite and 0 or more; names and type are
 * borrowed. Not collective. */
void trm_arguments_enum(trm_arguments *list, const char *name, const char *type, unsigned value,
                        unsigned last);
void trm_arguments_whole(trm_arguments *list, const char *name, int64_t value, int64_t least, int64_t most);
void trm_arguments_real(trm_arguments *list, const char *name, double value);
/* Adds all options of a table, with their ranges, by the names of their fields. */
void trm_arguments_options(trm_arguments *list, const trm_options *options, const void *settings);

/* Collective on comm. local: what the caller found wrong itself, which comes before what is found here.
 * Errors: USAGE, and local; agreed. */
trm_status trm_arguments_agree(MPI_Comm comm, const trm_arguments *list, trm_status local,
                               trm_error *err) TRM_MUST_CHECK;
#ifdef __clang_analyzer__ /* as trm_agree */
#define trm_arguments_agree(comm, list, local, err)                                                          \
    trm_agree((comm), (local) != TRM_OK ? (local) : (trm_arguments_agree)((comm), (list), (local), (err)),   \
              (err))
#endif

/* The bits that are set on any rank: what is NULL on a rank without rows may be given on others. Collective.
 */
int trm_arguments_any(MPI_Comm comm, int bits);

#endif
