/* Plain files; see plain.h. */
#include "store/plain.h"

#include "par/agree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const size_t most = (size_t)1 << 30; /* a call; Linux takes at most 2 GiB */

trm_status trm_plain_write(int file, trm_plain_name name, const void *data, int64_t bytes, int64_t at,
                           trm_error *err)
{
    while (bytes > 0) {
        const ssize_t written = pwrite(file, data, (size_t)bytes < most ? (size_t)bytes : most, at);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return trm_fail(err, TRM_ERR_IO, "%s '%s': writing failed: %s", name.kind, name.path,
                            written < 0 ? strerror(errno) : "nothing was written");
        data = (const char *)data + written;
        bytes -= written;
        at += written;
    }
    return TRM_OK;
}

trm_status trm_plain_read(int file, trm_plain_name name, void *data, int64_t bytes, int64_t at,
                          trm_error *err)
{
    while (bytes > 0) {
        const ssize_t got = pread(file, data, (size_t)bytes < most ? (size_t)bytes : most, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return trm_fail(err, TRM_ERR_IO, "%s '%s': reading failed: %s", name.kind, name.path,
                            strerror(errno));
        if (got == 0)
            return trm_fail(err, TRM_ERR_DATA, "%s '%s' is damaged: it ends too early", name.kind, name.path);
        data = (char *)data + got;
        bytes -= got;
        at += got;
    }
    return TRM_OK;
}

trm_status trm_plain_open(MPI_Comm comm, trm_plain_name name, const char *temporary, int truncate, int *file,
                          trm_error *err)
{
    int rank = 0;
    trm_status status = TRM_OK;
    *file = -1;
    MPI_Comm_rank(comm, &rank);
    for (int turn = 0; turn < 2 && status == TRM_OK; turn++) { /* rank 0 first; the others find its file */
        if ((turn == 0) == (rank == 0)) {
            const int fresh = truncate && turn == 0 ? O_TRUNC : 0;
            *file = open(temporary, O_WRONLY | O_CREAT | O_CLOEXEC | fresh, 0666);
            const trm_status why = trm_status_of_errno(errno);
            if (*file < 0)
                status = trm_fail(err, why == TRM_ERR_PERMISSION || why == TRM_ERR_IO ? why : TRM_ERR_CREATE,
                                  "%s '%s': can't create '%s': %s", name.kind, name.path, temporary,
                                  strerror(errno));
        }
        status = trm_agree(comm, status, err);
    }
    return status;
}

trm_status trm_plain_close(int *file, trm_plain_name name, trm_status status, trm_error *err)
{
    if (*file < 0)
        return status;
    if (status == TRM_OK && fsync(*file) != 0)
        status =
            trm_fail(err, TRM_ERR_IO, "%s '%s': fsync failed: %s", name.kind, name.path, strerror(errno));
    if (close(*file) != 0 && status == TRM_OK)
        status =
            trm_fail(err, TRM_ERR_IO, "%s '%s': closing failed: %s", name.kind, name.path, strerror(errno));
    *file = -1;
    return status;
}
