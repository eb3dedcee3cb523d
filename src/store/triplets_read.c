/* Index triplets, as `mine` writes them: three columns of row ids, each rank its consecutive share. Of lists
 * a share is of lines, each of which becomes as many triplets as it has negatives.
 *
 * What the row ids mean is the loss's business, which knows the rows; here they only have to be integers of
 * one length, in a file that was finished. */
#include "base/alloc.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "store/forms.h"
#include "store/result_root.h"
#include "store/store_inner.h"

#include <inttypes.h>
#include <string.h>

enum { COLUMNS = 3 };
static const trm_form_column wanted[COLUMNS] = {TRM_COLUMN_ANCHOR, TRM_COLUMN_POSITIVE, TRM_COLUMN_NEGATIVE};
static const char kind[] = "triplets";
static const int64_t no_row = -1; /* where a list is short */

/* What rank 0 finds; travels as bytes. */
typedef struct survey {
    trm_form form;
    int64_t lines, negatives; /* negatives: in a line */
    bool ours;                /* a result of mine */
    trm_element element[COLUMNS];
    trm_triplets_origin origin;
} survey;

/* The form that a file of ours names. */
static trm_status named_form(const trm_named_file *about, hid_t file, trm_form *form, trm_error *err)
{
    char format[64] = {0};
    if (!trm_h5_attribute_text(file, "format", format, sizeof format))
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': attribute 'format' is not a text", kind, about->path);
    for (*form = 0; *form < TRM_FORMS; ++*form)
        if (strcmp(format, trm_form_format(*form)) == 0)
            return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': attribute 'format' is '%s', needs '%s' or '%s'", kind,
                    about->path, format, trm_form_format(TRM_FORM_TRIPLETS), trm_form_format(TRM_FORM_LISTS));
}

/* The form of a file from elsewhere, by what is in it. Where nothing is, what is missing are triplets. */
static trm_status guess_form(const trm_named_file *about, hid_t file, trm_form *form, trm_error *err)
{
    const bool lists = H5Lexists(file, trm_form_name(TRM_FORM_LISTS), H5P_DEFAULT) > 0;
    *form = lists ? TRM_FORM_LISTS : TRM_FORM_TRIPLETS;
    if (lists && H5Lexists(file, trm_form_name(TRM_FORM_TRIPLETS), H5P_DEFAULT) > 0)
        return trm_fail(err, TRM_ERR_DATA, "%s '%s': has both '/triplets' and '/lists': leave one out", kind,
                        about->path);
    return TRM_OK;
}

/* A trm_result_look_fn. */
static trm_status find_form(const trm_named_file *about, trm_sources *sources, hid_t file, void *context,
                            trm_error *err)
{
    survey *found = context;
    (void)sources;
    found->ours = H5Aexists(file, "format") > 0;
    return found->ours ? named_form(about, file, &found->form, err)
                       : guess_form(about, file, &found->form, err);
}

/* A list has several negatives. */
static int dimensions(trm_form form, int column)
{
    return form == TRM_FORM_LISTS && wanted[column] == TRM_COLUMN_NEGATIVE ? 2 : 1;
}

/* A trm_result_look_fn. */
static trm_status check_columns(const trm_named_file *about, trm_sources *sources, hid_t file, void *context,
                                trm_error *err)
{
    survey *found = context;
    for (int c = 0; c < COLUMNS; c++) {
        const char *path = trm_form_path(found->form, wanted[c]);
        hsize_t size[2] = {0, 1};
        trm_status status = trm_inspect_named(about, sources, file, path, dimensions(found->form, c),
                                              TRM_WANT_INTEGERS, &found->element[c], size, err);
        if (status != TRM_OK)
            return status;
        if (c > 0 && (int64_t)size[0] != found->lines)
            return trm_fail(
                err, TRM_ERR_DATA, "%s '%s': dataset '%s' has %" PRId64 " rows, '%s' has %" PRId64, kind,
                about->path, path, (int64_t)size[0], trm_form_path(found->form, wanted[0]), found->lines);
        if ((int64_t)size[1] > INT32_MAX)
            return trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' has %" PRId64 " columns, at most %d",
                            kind, about->path, path, (int64_t)size[1], INT32_MAX);
        found->lines = (int64_t)size[0];
        found->negatives = (int64_t)size[1];
    }
    return TRM_OK;
}

static trm_status inspect(const char *path, trm_sources *sources, survey *found, trm_error *err)
{
    const trm_named_file about = {kind, path};
    return trm_result_inspect(&about, sources, find_form, check_columns, found, &found->origin, err);
}

static trm_status read_columns(MPI_Comm comm, const char *path, const survey *found, int64_t first,
                               int64_t count, int64_t *const into[COLUMNS], trm_error *err)
{
    int64_t bytes = 0;
    trm_column column[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        const int rank = dimensions(found->form, c);
        column[c] = (trm_column){.name = trm_form_path(found->form, wanted[c]),
                                 .rank = rank,
                                 .element = &found->element[c],
                                 .items = 1,
                                 .width = rank == 2 ? (int)found->negatives : 1,
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

/* Lines of negatives become triplets: those of -1 are none. */
static trm_status unfold(const survey *found, int64_t lines, int64_t *into[COLUMNS], int64_t *count,
                         trm_error *err)
{
    int64_t *negative = into[2], all = lines * found->negatives, there = 0, k = 0;
    for (int64_t i = 0; i < all; i++)
        there += negative[i] != no_row;
    int64_t *anchor = trm_alloc(there, sizeof *anchor), *positive = trm_alloc(there, sizeof *positive);
    if (anchor == NULL || positive == NULL) {
        trm_free(anchor);
        trm_free(positive);
        return trm_fail_memory(err, "given triplets", there, sizeof *anchor);
    }
    for (int64_t i = 0; i < all; i++) {
        if (negative[i] == no_row)
            continue;
        anchor[k] = into[0][i / found->negatives];
        positive[k] = into[1][i / found->negatives];
        negative[k++] = negative[i];
    }
    trm_free(into[0]);
    trm_free(into[1]);
    into[0] = anchor;
    into[1] = positive;
    into[2] = trm_shrink(negative, there, sizeof *negative);
    *count = there;
    return TRM_OK;
}

static trm_status read_share(MPI_Comm comm, const char *path, const survey *found, trm_given_triplets *given,
                             trm_error *err)
{
    int rank = 0, ranks = 0;
    int64_t first, last, *into[COLUMNS];
    MPI_Comm_rank(comm, &rank);
    MPI_Comm_size(comm, &ranks);
    trm_share(found->lines, rank, ranks, &first, &last);
    const int64_t lines = last - first;
    int64_t count = lines;
    trm_status status = TRM_OK;
    for (int c = 0; c < COLUMNS; c++) {
        const int64_t values = lines * (dimensions(found->form, c) == 2 ? found->negatives : 1);
        into[c] = trm_alloc(values, sizeof **into);
        if (into[c] == NULL)
            status = trm_fail_memory(err, "given triplets", values, sizeof **into);
    }
    status = trm_agree(comm, status, err);
    if (status == TRM_OK)
        status = read_columns(comm, path, found, first, lines, into, err);
    if (status == TRM_OK && found->form == TRM_FORM_LISTS)
        status = trm_agree(comm, unfold(found, lines, into, &count, err), err);
    *given = (trm_given_triplets){count, into[0], into[1], into[2]};
    return status;
}

/* mine may find none; in another file it is a mistake. */
static trm_status check_total(const char *path, const survey *found, int64_t total, trm_error *err)
{
    if (total > 0 || found->ours)
        return TRM_OK;
    return trm_fail(err, TRM_ERR_DATA, "%s '%s': dataset '%s' holds no triplets", kind, path,
                    trm_form_path(found->form, found->lines > 0 ? TRM_COLUMN_NEGATIVE : TRM_COLUMN_ANCHOR));
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
        status = read_share(comm, path, &found, given, err);
    }
    *first = trm_prefix_int64(comm, given->count);
    *total = trm_sum_int64(comm, given->count);
    if (status == TRM_OK)
        status = trm_agree(comm, check_total(path, &found, *total, err), err);
    if (status == TRM_OK)
        status = trm_agree(comm, trm_sources_check_unchanged(&sources, kind, err), err);
    trm_sources_free(&sources);
    if (status == TRM_OK && origin != NULL)
        *origin = found.origin;
    if (status != TRM_OK)
        trm_triplets_free(given);
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
