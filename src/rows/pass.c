/* Rows that pass by; see pass.h. */
#include "rows/pass.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "par/agree.h"

trm_status trm_pass_begin(trm_pass *pass, MPI_Comm comm, int dim, int64_t rows, trm_error *err)
{
    trm_status status = TRM_OK;
    *pass = (trm_pass){.comm = comm, .dim = dim};
    MPI_Comm_rank(comm, &pass->rank);
    MPI_Comm_size(comm, &pass->ranks);
    const int64_t room = pass->ranks > 1 ? rows : 0; /* a single rank has them all */
    pass->x = trm_alloc(room * dim, sizeof *pass->x);
    pass->label = trm_alloc(room, sizeof *pass->label);
    pass->norm2 = trm_alloc(room, sizeof *pass->norm2);
    if (pass->x == NULL || pass->label == NULL || pass->norm2 == NULL)
        status = trm_fail_memory(err, "a piece of rows", room * dim, sizeof *pass->x);
    return trm_agree(comm, status, err);
}

void trm_pass_end(trm_pass *pass)
{
    trm_free(pass->x);
    trm_free(pass->label);
    trm_free(pass->norm2);
    *pass = (trm_pass){.ranks = 0};
}

int64_t trm_pass_room(int dim, int64_t rows)
{
    return rows * ((int64_t)dim * (int64_t)sizeof(float) + 16);
}

void trm_pass_bytes(const trm_pass *pass, int root, void *data, int64_t bytes)
{
    const int64_t most = INT64_C(1) << 30;
    if (pass->ranks == 1)
        return;
    const double start = trm_clock();
    for (int64_t done = 0; done < bytes; done += most)
        MPI_Bcast((char *)data + done, (int)(bytes - done < most ? bytes - done : most), MPI_BYTE, root,
                  pass->comm);
    if (pass->waited != NULL)
        *pass->waited += trm_clock() - start;
}

/* The root sends from where the rows are: MPI takes no const, and does not write at its root. One message of a copy
 * would cost another pass over the rows, so there are three. */
void trm_pass_rows(const trm_pass *pass, int root, trm_piece *piece)
{
    if (pass->rank != root) {
        piece->x = pass->x;
        piece->label = pass->label;
        piece->norm2 = pass->norm2;
    }
    trm_pass_bytes(pass, root, (void *)(uintptr_t)piece->x,
                   piece->count * pass->dim * (int64_t)sizeof *piece->x);
    trm_pass_bytes(pass, root, (void *)(uintptr_t)piece->label, piece->count * (int64_t)sizeof *piece->label);
    trm_pass_bytes(pass, root, (void *)(uintptr_t)piece->norm2, piece->count * (int64_t)sizeof *piece->norm2);
}
