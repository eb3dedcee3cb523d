/* Whether OpenBLAS can run here as it was told to. Not collective. */
#ifndef TRM_KERNEL_BLAS_CORE_H
#define TRM_KERNEL_BLAS_CORE_H

#include "base/error.h"

/* The kind of CPU that OpenBLAS computes for, which it finds out itself or is told by OPENBLAS_CORETYPE; NULL
 * where the BLAS is another. Borrowed for ever. */
const char *trm_blas_core(void);

/* Refuses a kind of CPU whose instructions this one lacks: the first product would end the process. To be
 * asked by whoever is about to call BLAS. Errors: ENVIRONMENT. */
trm_status trm_blas_check_core(trm_error *err) TRM_MUST_CHECK;
/* The same of a kind by name. */
trm_status trm_blas_check_core_name(const char *core, trm_error *err) TRM_MUST_CHECK;

#endif
