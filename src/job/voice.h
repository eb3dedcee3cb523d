/* What is said while work is done, one line at a time, by one rank. */
#ifndef TRM_JOB_VOICE_H
#define TRM_JOB_VOICE_H

#include "trimine/job.h"
#include "store/result.h"
#include "trimine/store.h"

#include <jansson.h>
#include <stdint.h>

typedef struct trm_voice {
    void (*say)(void *context, trm_line line, const char *text); /* NULL: nobody hears it */
    void *context;
    json_t *warnings; /* so far; NULL: none. Owned */
} trm_voice;

/* Says a line, without its end. Control characters, which names of files, datasets and labels may hold, become
 * their codes. Warnings are kept, too. Not collective. */
void trm_voice_say(const trm_voice *voice, trm_line line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void trm_warn(trm_voice *voice, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* All warnings so far (new reference). */
json_t *trm_voice_warnings(const trm_voice *voice);
void trm_voice_free(trm_voice *voice);

/* Warn where there is reason to: of a class that holds nearly everything (label: as people know it), of files
 * given twice, of rows that are all zero (first: the lowest row id of those), of a BLAS that needs care with the
 * run's threads, of another job's output that was replaced (claim may be NULL), of more threads than pay. Not
 * collective. */
void trm_warn_of_class(trm_voice *voice, int64_t size, int64_t rows, const char *label);
void trm_warn_of_files(trm_voice *voice, const trm_store *store);
void trm_warn_of_zero_rows(trm_voice *voice, const trm_store *store, int64_t zero, int64_t first,
                           int64_t rows);
/* Where an output may become larger than the room that is left for it. Rank 0's. */
void trm_warn_of_room(trm_voice *voice, const trm_claim *claim, double bytes);
void trm_warn_of_replaced(trm_voice *voice, const trm_claim *claim);
void trm_warn_of_blas(trm_voice *voice, const trm_run *run);
/* Also says how many threads run on how many cores and why, where that is not all. */
void trm_warn_of_threads(trm_voice *voice, const trm_run *run);

#endif
