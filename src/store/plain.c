/* Plain files; see plain.h. */
#include "store/plain.h"

#include <errno.h>
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

trm_status trm_plain_sync(int file, trm_plain_name name, trm_error *err)
{
    if (fsync(file) == 0)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_IO, "%s '%s': fsync failed: %s", name.kind, name.path, strerror(errno));
}
