/* Options of opening and reading a store: what they are where nobody says. */
#include "base/sized.h"
#include "store/store_inner.h"

static const trm_sized sized_store = {.name = "trm_store_options", .size = sizeof(trm_store_options)};
static const trm_sized sized_read = {.name = "trm_read_options", .size = sizeof(trm_read_options)};

void trm_store_options_init_sized(trm_store_options *options, size_t size)
{
    const trm_store_options own = {.size = sizeof own};
    trm_sized_give(&sized_store, &own, options, &size);
}

void trm_read_options_init_sized(trm_read_options *options, size_t size)
{
    const trm_read_options own = {.size = sizeof own};
    trm_sized_give(&sized_read, &own, options, &size);
}

trm_status trm_store_options_take(trm_store_options *own, const trm_store_options *given, trm_error *err)
{
    trm_store_options_init(own);
    return trm_sized_take(&sized_store, own, given, err);
}

trm_status trm_read_options_take(trm_read_options *own, const trm_read_options *given, trm_error *err)
{
    trm_read_options_init(own);
    return trm_sized_take(&sized_read, own, given, err);
}
