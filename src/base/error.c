/* Error objects and exit codes: one table says which status ends the program with which code. */
#include "base/error.h"

#include "base/visible.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#undef trm_fail

static const int exit_codes[] = {
    [TRM_OK] = 0,
    [TRM_ERR_USAGE] = 64,
    [TRM_ERR_DATA] = 65,
    [TRM_ERR_NO_INPUT] = 66,
    [TRM_ERR_ENVIRONMENT] = 69,
    [TRM_ERR_INTERNAL] = 70,
    [TRM_ERR_MEMORY] = 71,
    [TRM_ERR_CREATE] = 73,
    [TRM_ERR_IO] = 74,
    [TRM_ERR_STOPPED] = 75,
    [TRM_ERR_PERMISSION] = 77,
};

int trm_exit_code(trm_status status)
{
    return exit_codes[status];
}

trm_status trm_fail(trm_error *err, trm_status status, const char *format, ...)
{
    if (err == NULL || err->status != TRM_OK)
        return status;
    char text[sizeof err->text];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    trm_visible(text, err->text, sizeof err->text); /* one line, whatever names hold */
    err->status = status;
    err->rank = -1;
    return status;
}

trm_status trm_status_of_errno(int error_number)
{
    switch (error_number) {
    case ENOENT:
    case ENOTDIR:
        return TRM_ERR_NO_INPUT;
    case EACCES:
    case EPERM:
    case EROFS:
        return TRM_ERR_PERMISSION;
    case ENOMEM:
        return TRM_ERR_MEMORY;
    default:
        return TRM_ERR_IO;
    }
}
