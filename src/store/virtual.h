/* Virtual datasets: is every part of them filled by a source that is there? HDF5 itself reads the fill value
 * (zeros) where a source is missing or no source was named, without a word. */
#ifndef TRM_STORE_VIRTUAL_H
#define TRM_STORE_VIRTUAL_H

#include "store/sources.h"

/* creation: the creation properties of the open dataset. Errors: as trm_sources_find. */
trm_status trm_virtual_check(const trm_search *search, hid_t dataset, hid_t creation, const char *name,
                             trm_error *err) TRM_MUST_CHECK;

#endif
