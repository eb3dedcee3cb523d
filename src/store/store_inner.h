/* The store's inside, shared by opening and reading. */
#ifndef TRM_STORE_STORE_INNER_H
#define TRM_STORE_STORE_INNER_H

#include "store/element.h"
#include "trimine/store.h"

/* One file: what the caller sees, and how its elements are stored. */
typedef struct trm_store_entry {
    trm_store_file seen;
    trm_element embeddings, labels, ids;
    int64_t dim;
    /* Where the strings start in trm_store.names, so that an entry can travel to other ranks. ids_at < 0:
     * none. */
    int64_t path_at, embeddings_at, labels_at, ids_at;
} trm_store_entry;

struct trm_store {
    MPI_Comm comm;
    int64_t rows;
    int dim, files;
    trm_store_entry *entry;
    char *names;
};

#endif
