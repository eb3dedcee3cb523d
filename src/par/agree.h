/* Agreement points: after the local part of a collective step, all ranks learn whether any of them failed.
 *
 * A rank that returned early while the others went on to the next collective call would hang the job; so
 * every collective function ends its local part here, and on failure every rank holds the same status and
 * text. */
#ifndef TRM_PAR_AGREE_H
#define TRM_PAR_AGREE_H

#include "base/error.h"
#include "trimine/run.h"

#include <mpi.h>

#ifdef __clang_analyzer__ /* as in error.h: a failure here is one everywhere */
static inline trm_status trm_agree_seen(MPI_Comm comm, trm_status local, trm_error *err)
{
    const trm_status all = trm_agree(comm, local, err);
    return local != TRM_OK ? local : all;
}
#define trm_agree trm_agree_seen
#endif

/* This process's rank in comm. Not collective. */
int trm_rank_of(MPI_Comm comm);

/* Ends the job at once where ranks can't agree any more (a failed MPI call, a failed collective write):
 * prints one line "trimine: error: rank R (HOST): TEXT" and calls MPI_Abort with the status's exit code. Not
 * collective. */
_Noreturn void trm_abort(MPI_Comm comm, const trm_error *err);
/* Makes trm_abort call tell, after the line and with rank and host in the error; NULL: nobody. Not
 * collective. */
void trm_abort_tell(void (*tell)(const trm_error *err));

#endif
