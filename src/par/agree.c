/* Agreement on errors: one small allreduce in the good case, one broadcast of the text in the bad one. */
#include "par/agree.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#undef trm_agree

trm_status trm_agree(MPI_Comm comm, trm_status local, trm_error *err)
{
    const int rank = trm_rank_of(comm);
    int failed_rank = local == TRM_OK ? INT_MAX : rank;
    int first = 0;
    MPI_Allreduce(&failed_rank, &first, 1, MPI_INT, MPI_MIN, comm);
    if (first == INT_MAX)
        return TRM_OK;
    trm_error message = TRM_ERROR_INIT;
    if (rank == first) {
        if (err != NULL && err->status != TRM_OK)
            message = *err;
        else
            trm_fail(&message, local, "failed with status %d", (int)local);
        message.rank = rank;
        gethostname(message.host, sizeof message.host - 1);
    }
    MPI_Bcast(&message, (int)sizeof message, MPI_BYTE, first, comm);
    if (err != NULL)
        *err = message;
    return message.status;
}

int trm_rank_of(MPI_Comm comm)
{
    int rank = 0;
    MPI_Comm_rank(comm, &rank);
    return rank;
}

static void (*abort_tell)(const trm_error *err);

void trm_abort_tell(void (*tell)(const trm_error *err))
{
    abort_tell = tell;
}

_Noreturn void trm_abort(MPI_Comm comm, const trm_error *err)
{
    trm_error message = *err;
    MPI_Comm_rank(comm, &message.rank);
    gethostname(message.host, sizeof message.host - 1);
    fprintf(stderr, "trimine: error: rank %d (%s): %s\n", message.rank, message.host, message.text);
    fflush(stderr);
    if (abort_tell != NULL)
        abort_tell(&message);
    MPI_Abort(comm, trm_exit_code(err->status));
    _Exit(trm_exit_code(err->status));
}
