/* Packed triplets: anchors, positives and negatives as rows of their own, each rank its share of the anchors.
 *
 * With K negatives an anchor the third dataset has three dimensions; it is read as K items a row, so that a
 * row may be larger than a piece. */
#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/describe.h"
#include "store/loss_files.h"
#include "store/store_inner.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { PARTS = 3 };
static const char kind[] = "packed triplets";

/* What rank 0 finds; travels as bytes. */
typedef struct survey {
    int64_t count, negatives, dim;
    bool many; /* /negatives (B,K,D), not /negative (B,D) */
    trm_element element[PARTS];
} survey;

static const char *name_of(const survey *found, int part)
{
    static const char *const names[] = {"/anchor", "/positive", "/negative", "/negatives"};
    return names[part == 2 && found->many ? 3 : part];
}

/* Something that can't be opened counts: reading it will say why. */
static bool has_dataset(const trm_named_file *about, trm_sources *sources, hid_t file, const char *name)
{
    trm_found found;
    const bool broken = trm_sources_find(sources, about, file, name, &found, NULL) != TRM_OK;
    trm_h5_close(found.object);
    return broken || found.kind == TRM_FOUND_DATASET;
}

/* The first dataset decides B and D. */
static trm_status keep_shape(const char *path, const hsize_t *size, survey *found, trm_error *err)
{
    char shape[TRM_SHAPE_TEXT];
    if (size[0] < 1 || size[1] < 1 || size[1] > TRM_MAX_DIM)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': dataset '%s' is %s, needs at least one row and 1 to %d columns", kind, path,
                        name_of(found, 0), trm_shape_text(2, size, shape), TRM_MAX_DIM);
    found->count = (int64_t)size[0];
    found->dim = (int64_t)size[1];
    return TRM_OK;
}

/* Another one must have the same; the rank'th and first dimensions are D and B. */
static trm_status check_shape(const char *path, int part, int rank, const hsize_t *size, survey *found,
                              trm_error *err)
{
    char shape[TRM_SHAPE_TEXT], first[TRM_SHAPE_TEXT];
    const hsize_t expected[2] = {(hsize_t)found->count, (hsize_t)found->dim};
    int64_t values = 0;
    if (size[0] != expected[0] || size[rank - 1] != expected[1])
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' is %s, '%s' is %s", kind, path,
                        name_of(found, part), trm_shape_text(rank, size, shape), name_of(found, 0),
                        trm_shape_text(2, expected, first));
    if (rank == 2)
        return TRM_OK;
    found->negatives = (int64_t)size[1];
    if (size[1] < 1)
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': dataset '%s' is %s, needs at least one negative an anchor", kind, path,
                        name_of(found, part), trm_shape_text(rank, size, shape));
    if (__builtin_mul_overflow(found->negatives, found->count, &values) ||
        __builtin_mul_overflow(values, found->dim * (int64_t)sizeof(double), &values))
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' is %s, too large", kind, path,
                        name_of(found, part), trm_shape_text(rank, size, shape));
    return TRM_OK;
}

static trm_status check_datasets(const trm_named_file *about, trm_sources *sources, hid_t file, survey *found,
                                 trm_error *err)
{
    found->negatives = 1;
    found->many = has_dataset(about, sources, file, "/negatives");
    if (found->many && has_dataset(about, sources, file, "/negative"))
        return trm_fail(err, TRM_ERR_DATA,
                        "%s '%s': both '/negative' and '/negatives' are there; remove one of them", kind,
                        about->path);
    trm_status status = TRM_OK;
    for (int part = 0; part < PARTS && status == TRM_OK; part++) {
        const int rank = part == 2 && found->many ? 3 : 2;
        hsize_t size[3] = {0, 0, 0};
        status = trm_inspect_named(about, sources, file, name_of(found, part), rank, TRM_WANT_FLOATS,
                                   &found->element[part], size, err);
        if (status == TRM_OK)
            status = part == 0 ? keep_shape(about->path, size, found, err)
                               : check_shape(about->path, part, rank, size, found, err);
    }
    return status;
}

static trm_status inspect(const char *path, trm_sources *sources, survey *found, trm_error *err)
{
    const trm_named_file about = {kind, path};
    hid_t file = -1;
    trm_status status = trm_sources_add_input(sources, &about, err);
    if (status == TRM_OK)
        status = trm_inspect_open(&about, &file, err);
    if (status == TRM_OK)
        status = check_datasets(&about, sources, file, found, err);
    if (file >= 0)
        H5Fclose(file);
    return status;
}

static trm_status read_parts(MPI_Comm comm, const char *path, const trm_read_options *options,
                             const survey *found, int64_t first, int64_t count, float *const rows[PARTS],
                             double *const norms[PARTS], trm_error *err)
{
    int64_t bytes = 0;
    trm_column column[PARTS];
    for (int part = 0; part < PARTS; part++) {
        column[part] = (trm_column){.name = name_of(found, part),
                                    .element = &found->element[part],
                                    .rank = part == 2 && found->many ? 3 : 2,
                                    .items = part == 2 ? found->negatives : 1,
                                    .item_name = part == 2 && found->many ? "negative" : NULL,
                                    .width = (int)found->dim,
                                    .floats = rows[part],
                                    .norms = norms[part]};
        const int64_t need = trm_column_bytes(&column[part], count);
        bytes = need > bytes ? need : bytes;
    }
    trm_reader in = {.comm = comm, .kind = kind, .options = options, .err = err};
    trm_status status = trm_reader_begin(&in, bytes);
    if (status == TRM_OK)
        status = trm_reader_read(&in, path, PARTS, column, first, count);
    trm_reader_end(&in);
    return status;
}

static trm_status read_share(MPI_Comm comm, const char *path, const trm_read_options *options,
                             const survey *found, trm_packed *packed, int64_t *first, trm_error *err)
{
    int rank = 0, ranks = 0;
    int64_t last = 0;
    const bool normalize = options != NULL && options->normalize;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    trm_share(found->count, rank, ranks, first, &last);
    const int64_t count = last - *first;
    float *rows[PARTS];
    double *norms[PARTS] = {NULL, NULL, NULL};
    trm_status status = TRM_OK;
    for (int part = 0; part < PARTS; part++) {
        const int64_t items = count * (part == 2 ? found->negatives : 1);
        rows[part] = trm_alloc(items, (size_t)found->dim * sizeof **rows);
        norms[part] = normalize ? trm_alloc(items, sizeof **norms) : NULL;
        if (rows[part] == NULL || (normalize && norms[part] == NULL))
            status = trm_fail_memory(err, "packed triplets", items, (size_t)found->dim * sizeof **rows);
    }
    *packed = (trm_packed){.count = count,
                           .negatives = found->negatives,
                           .dim = (int)found->dim,
                           .anchor = rows[0],
                           .positive = rows[1],
                           .negative = rows[2],
                           .anchor_norms = norms[0],
                           .positive_norms = norms[1],
                           .negative_norms = norms[2]};
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = read_parts(comm, path, options, found, *first, count, rows, norms, err);
    return status;
}

trm_status trm_packed_read(MPI_Comm comm, const char *path, const trm_read_options *options,
                           trm_packed *packed, int64_t *first, int64_t *total, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    survey found;
    int rank = 0;
    err = err == NULL ? &own : err;
    memset(&found, 0, sizeof found);
    memset(packed, 0, sizeof *packed);
    MPI_Comm_rank(comm, &rank);
    trm_h5_handler handler = trm_h5_silence();
    trm_sources sources = TRM_SOURCES_INIT; /* rank 0's */
    trm_status status = trm_agree(comm, rank == 0 ? inspect(path, &sources, &found, err) : TRM_OK, err);
    if (status == TRM_OK) {
        MPI_Bcast(&found, (int)sizeof found, MPI_BYTE, 0, comm);
        status = read_share(comm, path, options, &found, packed, first, err);
    }
    if (status == TRM_OK)
        status = trm_agree(comm, trm_sources_check_unchanged(&sources, kind, err), err);
    trm_sources_free(&sources);
    if (status == TRM_OK)
        *total = found.count;
    else
        trm_packed_free(packed);
    trm_h5_restore(handler);
    return status;
}

static trm_packed_form form_of(const char *path)
{
    const trm_named_file about = {kind, path};
    trm_sources sources = TRM_SOURCES_INIT;
    static const char *const names[] = {"/anchor", "/positive", "/negative", "/negatives"};
    bool has[4];
    hid_t file = -1;
    if (trm_inspect_open(&about, &file, NULL) != TRM_OK)
        return TRM_PACKED_NOT;
    for (int i = 0; i < 4; i++)
        has[i] = has_dataset(&about, &sources, file, names[i]);
    H5Fclose(file);
    trm_sources_free(&sources);
    if (has[0] && has[1] && (has[2] || has[3]))
        return has[3] ? TRM_PACKED_NEGATIVES : TRM_PACKED_NEGATIVE;
    return has[0] || has[1] || has[2] || has[3] ? TRM_PACKED_PARTLY : TRM_PACKED_NOT;
}

trm_packed_form trm_packed_recognize(MPI_Comm comm, const char *path)
{
    int rank = 0, form = TRM_PACKED_NOT;
    MPI_Comm_rank(comm, &rank);
    if (rank == 0) {
        trm_h5_handler handler = trm_h5_silence();
        form = (int)form_of(path);
        trm_h5_restore(handler);
    }
    MPI_Bcast(&form, 1, MPI_INT, 0, comm);
    return (trm_packed_form)form;
}

void trm_packed_free(trm_packed *packed)
{
    trm_free((void *)(uintptr_t)packed->anchor);
    trm_free((void *)(uintptr_t)packed->positive);
    trm_free((void *)(uintptr_t)packed->negative);
    trm_free((void *)(uintptr_t)packed->anchor_norms);
    trm_free((void *)(uintptr_t)packed->positive_norms);
    trm_free((void *)(uintptr_t)packed->negative_norms);
    memset(packed, 0, sizeof *packed);
}
