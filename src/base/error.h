/* Filling error objects. Not collective; the collective half is par/agree.h. */
#ifndef TRM_BASE_ERROR_H
#define TRM_BASE_ERROR_H

#include "trimine/status.h"

/* Fills err (may be NULL) with status and text and returns status, so that callers write `return
 * trm_fail(...)`. An err that already holds a failure keeps it: the first error wins. */
trm_status trm_fail(trm_error *err, trm_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
#ifdef __clang_analyzer__ /* it sees declarations only: what fails does not return TRM_OK */
#define trm_fail(err, status, ...) ((void)(trm_fail)((err), (status), __VA_ARGS__), (status))
#endif

/* The status that fits an errno of a file operation: ENOENT no input, EACCES permission, ENOSPC and others
 * I/O. */
trm_status trm_status_of_errno(int error_number);

#endif
