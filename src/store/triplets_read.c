/* Index triplets, as `mine` writes them: three columns of row ids, each rank its consecutive share.
 *
 * What the row ids mean is the loss's business, which knows the rows; here they only have to be integers of
 * one length, in a file that was finished. */
#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/loss_files.h"
#include "store/store_inner.h"

#include <inttypes.h>
#include <string.h>

enum { COLUMNS = 3 };
static const char *const names[COLUMNS] = {"/triplets/anchor", "/triplets/positive", "/triplets/negative"};
static const char kind[] = "triplets";

/* What rank 0 finds; travels as bytes. */
typedef struct survey {
    int64_t total;
    bool ours; /* a result of mine */
    trm_element element[COLUMNS];
    trm_triplets_origin origin;
} survey;

/* A file without attributes may come from anywhere; one with ours must be whole and of this kind. */
static trm_status check_root(const trm_named_file *about, hid_t file, bool *ours, trm_error *err)
{
    char format[64] = {0};
    int64_t complete = 0;
    *ours = H5Aexists(file, "format") > 0;
    if (*ours) {
        if (!trm_h5_attribute_text(file, "format", format, sizeof format))
            return trm_fail(err, TRM_ERR_DATA, "%s '%s': attribute 'format' is not a text", kind,
                            about->path);
        if (strcmp(format, "trimine-triplets") != 0)
            return trm_fail(err, TRM_ERR_DATA,
                            "%s '%s': attribute 'format' is '%s', needs 'trimine-triplets'", kind,
                            about->path, format);
    }
    if (H5Aexists(file, "complete") > 0 &&
        (!trm_h5_attribute_int(file, "complete", &complete) || complete != 1))
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': file is not complete (attribute 'complete' is not 1)",
                        kind, about->path);
    return TRM_OK;
}

static trm_status read_origin(const trm_named_file *about, hid_t file, trm_triplets_origin *origin,
                              trm_error *err)
{
    const struct {
        const char *name;
        int64_t *value;
    } numbers[] = {{"store_rows", &origin->store_rows}, {"store_dim", &origin->store_dim}};
    for (int i = 0; i < 2; i++) {
        *numbers[i].value = -1;
        if (H5Aexists(file, numbers[i].name) > 0 &&
            !trm_h5_attribute_int(file, numbers[i].name, numbers[i].value))
            return trm_fail(err, TRM_ERR_DATA, "%s '%s': attribute '%s' is not an integer", kind, about->path,
                            numbers[i].name);
    }
    if (H5Aexists(file, "store_fingerprint") > 0 &&
        !trm_h5_attribute_text(file, "store_fingerprint", origin->store_fingerprint,
                               sizeof origin->store_fingerprint))
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': attribute 'store_fingerprint' is not a text", kind,
                        about->path);
    return TRM_OK;
}

static trm_status check_columns(const trm_named_file *about, trm_sources *sources, hid_t file, survey *found,
                                trm_error *err)
{
    for (int c = 0; c < COLUMNS; c++) {
        hsize_t length = 0;
        trm_status status = trm_inspect_named(about, sources, file, names[c], 1, TRM_WANT_INTEGERS,
                                              &found->element[c], &length, err);
        if (status != TRM_OK)
            return status;
        if (c > 0 && (int64_t)length != found->total)
            return trm_fail(err, TRM_ERR_DATA,
                            "%s '%s': dataset '%s' has %" PRId64 " rows, '%s' has %" PRId64, kind,
                            about->path, names[c], (int64_t)length, names[0], found->total);
        found->total = (int64_t)length;
    }
    if (found->total == 0 && !found->ours) /* mine may find none; in another file it is a mistake */
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' holds no triplets", kind, about->path,
                        names[0]);
    return TRM_OK;
}

static trm_status inspect(const char *path, trm_sources *sources, survey *found, trm_error *err)
{
    const trm_named_file about = {kind, path};
    hid_t file = -1;
    trm_status status = trm_sources_add_input(sources, &about, err);
    if (status == TRM_OK)
        status = trm_inspect_open(&about, &file, err);
    if (status == TRM_OK)
        status = check_root(&about, file, &found->ours, err);
    if (status == TRM_OK)
        status = read_origin(&about, file, &found->origin, err);
    if (status == TRM_OK)
        status = check_columns(&about, sources, file, found, err);
    if (file >= 0)
        H5Fclose(file);
    return status;
}

static trm_status read_columns(MPI_Comm comm, const char *path, const survey *found, int64_t first,
                               int64_t count, int64_t *const into[COLUMNS], trm_error *err)
{
    int64_t bytes = 0;
    trm_column column[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        column[c] = (trm_column){.name = names[c],
                                 .rank = 1,
                                 .element = &found->element[c],
                                 .items = 1,
                                 .width = 1,
                                 .integers = into[c]};
        const int64_t need = trm_column_bytes(&column[c], count);
        bytes = need > bytes ? need : bytes;
    }
    trm_reader in = {.comm = comm, .kind = kind, .err = err};
    trm_status status = trm_reader_begin(&in, bytes);
    if (status == TRM_OK)
        status = trm_reader_read(&in, path, COLUMNS, column, first, count);
    trm_reader_end(&in);
    return status;
}

static trm_status read_share(MPI_Comm comm, const char *path, const survey *found, trm_given_triplets *given,
                             int64_t *first, trm_error *err)
{
    int rank = 0, ranks = 0;
    int64_t last = 0;
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    trm_share(found->total, rank, ranks, first, &last);
    const int64_t count = last - *first;
    int64_t *into[COLUMNS];
    trm_status status = TRM_OK;
    for (int c = 0; c < COLUMNS; c++) {
        into[c] = trm_alloc(count, sizeof **into);
        if (into[c] == NULL)
            status = trm_fail_memory(err, "given triplets", count, sizeof **into);
    }
    *given = (trm_given_triplets){count, into[0], into[1], into[2]};
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = read_columns(comm, path, found, *first, count, into, err);
    return status;
}

trm_status trm_triplets_read(MPI_Comm comm, const char *path, trm_given_triplets *given, int64_t *first,
                             int64_t *total, trm_triplets_origin *origin, trm_error *err)
{
    trm_error own = TRM_ERROR_INIT;
    survey found;
    int rank = 0;
    err = err == NULL ? &own : err;
    memset(&found, 0, sizeof found);
    *given = (trm_given_triplets){0, NULL, NULL, NULL};
    MPI_Comm_rank(comm, &rank);
    trm_h5_handler handler = trm_h5_silence();
    trm_sources sources = TRM_SOURCES_INIT; /* rank 0's */
    trm_status status = trm_agree(comm, rank == 0 ? inspect(path, &sources, &found, err) : TRM_OK, err);
    if (status == TRM_OK) {
        MPI_Bcast(&found, (int)sizeof found, MPI_BYTE, 0, comm);
        status = read_share(comm, path, &found, given, first, err);
    }
    if (status == TRM_OK)
        status = trm_agree(comm, trm_sources_check_unchanged(&sources, kind, err), err);
    trm_sources_free(&sources);
    if (status == TRM_OK) {
        *total = found.total;
        if (origin != NULL)
            *origin = found.origin;
    } else {
        trm_triplets_free(given);
    }
    trm_h5_restore(handler);
    return status;
}

void trm_triplets_free(trm_given_triplets *given)
{
    trm_free((void *)(uintptr_t)given->anchor);
    trm_free((void *)(uintptr_t)given->positive);
    trm_free((void *)(uintptr_t)given->negative);
    *given = (trm_given_triplets){0, NULL, NULL, NULL};
}
