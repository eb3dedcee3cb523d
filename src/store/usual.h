/* The names under which a store's datasets are looked for where none is given. Each list ends with NULL. */
#ifndef TRM_STORE_USUAL_H
#define TRM_STORE_USUAL_H

extern const char *const trm_usual_embeddings[], *const trm_usual_labels[], *const trm_usual_ids[];

#endif
