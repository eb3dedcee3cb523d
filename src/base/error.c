/* Error objects and exit codes: one table says which status ends the program with which code, under which
 * name. */
#include "base/error.h"

#include "base/visible.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#undef trm_fail

static const struct {
    int exit_code;
    const char *name;
} statuses[] = {
    [TRM_OK] = {0, "ok"},
    [TRM_ERR_USAGE] = {64, "usage"},
    [TRM_ERR_DATA] = {65, "data"},
    [TRM_ERR_NO_INPUT] = {66, "no_input"},
    [TRM_ERR_ENVIRONMENT] = {69, "environment"},
    [TRM_ERR_INTERNAL] = {70, "internal"},
    [TRM_ERR_MEMORY] = {71, "memory"},
    [TRM_ERR_CREATE] = {73, "create"},
    [TRM_ERR_IO] = {74, "io"},
    [TRM_ERR_STOPPED] = {75, "stopped"},
    [TRM_ERR_PERMISSION] = {77, "permission"},
};

int trm_exit_code(trm_status status)
{
    return statuses[status].exit_code;
}

const char *trm_status_name(trm_status status)
{
    return statuses[status].name;
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
