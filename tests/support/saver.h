/* Somebody who stops a job, or has it saved, at a unit of work, and keeps what it says in files, the state at a path and
 * pieces beside it. */
#ifndef TESTS_SUPPORT_SAVER_H
#define TESTS_SUPPORT_SAVER_H

#include "par/checkpoint.h"
#include "store/checkpoint_file.h"

#include <mpi.h>

enum { SAVER_NEVER = 1 << 30 };

typedef struct saver {
    MPI_Comm comm;
    const char *path; /* NULL: nothing is kept */
    trm_checkpoint_job job;
    trm_checkpoint_file *from;
    int asked, at; /* wishes at its at-th unit, from 0, and from then on until it has saved */
    int what;      /* for TRM_WISH_SAVE or TRM_WISH_STOP */
    int saved, pieces;
    trm_checkpoint checkpoint; /* for trm_run_options; units are of two tiles */
} saver;

/* k must stay where it is; all is borrowed. saver_wish: what this rank wishes, and when. Not collective. */
void saver_begin(saver *k, MPI_Comm comm, const char *path, trm_checkpoint_job job);
void saver_wish(saver *k, int at, int what);
/* Opens what was kept, to go on from. Collective. */
trm_status saver_open(saver *k, trm_error *err);
void saver_end(saver *k);
/* Writes parts as a file of the job. Collective. */
trm_status saver_write(saver *k, const char *path, int parts, const trm_checkpoint_part *part,
                       trm_error *err);

#endif
