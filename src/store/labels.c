/* Labels; see labels.h. A scan and a read go through the same pieces and the same checks, so that what one
 * has found the other finds again. */
#include "base/alloc.h"
#include "base/number.h"
#include "base/visible.h"
#include "par/agree.h"
#include "par/exchange.h"
#include "par/merge.h"
#include "store/store_inner.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- what people see and say ---- */

const char *trm_labels_text(const trm_labels *labels, int64_t label, char text[TRM_LABEL_TEXT])
{
    char shown[TRM_LABEL_TEXT - 4], *name = NULL;
    int64_t length = 0;
    if (labels->kind == TRM_LABELS_UNSIGNED)
        snprintf(text, TRM_LABEL_TEXT, "%" PRIu64, (uint64_t)label);
    if (labels->kind == TRM_LABELS_SIGNED)
        snprintf(text, TRM_LABEL_TEXT, "%" PRId64, label);
    if (labels->kind != TRM_LABELS_NAMED)
        return text;
    name = (char *)(uintptr_t)trm_names_get(&labels->names, label, &length);
    trm_visible(name, shown, sizeof shown);
    snprintf(text, TRM_LABEL_TEXT, "'%s'", shown);
    return text;
}

/* A whole number in the range of int64 or, where labels are unsigned, uint64. */
static bool parse_number(const char *word, bool is_unsigned, int64_t *label)
{
    char *end = NULL;
    errno = 0;
    *label = strtoll(word, &end, 10);
    if (errno == ERANGE && is_unsigned && strchr(word, '-') == NULL) {
        errno = 0;
        *label = (int64_t)strtoull(word, &end, 10);
    }
    return errno == 0 && end != word && *end == '\0';
}

trm_status trm_labels_parse(const trm_labels *labels, const char *word, int64_t *label, bool *known,
                            trm_error *err)
{
    *known = true;
    if (labels->kind == TRM_LABELS_NAMED) {
        *label = trm_names_find(&labels->names, word, (int64_t)strlen(word));
        *known = *label >= 0;
        return TRM_OK;
    }
    if (!parse_number(word, true, label))
        return trm_fail(err, TRM_ERR_USAGE,
                        "--ignore-label '%s': the labels of this store are whole numbers%s", word,
                        strchr(word, ',') != NULL ? ", each with an --ignore-label of its own" : "");
    if (labels->kind == TRM_LABELS_UNSIGNED) /* a negative word would name a large label's bits */
        *known = strchr(word, '-') == NULL || *label == 0;
    else
        *known = parse_number(word, false, label);
    return TRM_OK;
}

void trm_labels_free(trm_labels *labels)
{
    trm_names_free(&labels->names);
    labels->kind = TRM_LABELS_SIGNED;
}

const trm_labels *trm_store_labels(const trm_store *store)
{
    return &store->labels;
}

trm_labels trm_store_take_labels(trm_store *store)
{
    const trm_labels taken = store->labels;
    store->labels = (trm_labels){TRM_LABELS_SIGNED, TRM_NAMES_INIT};
    return taken;
}

trm_label_kind trm_store_label_kind(const trm_store *store)
{
    return store->labels.kind;
}

int64_t trm_store_label_names(const trm_store *store)
{
    return store->labels.names.count;
}

const char *trm_store_label_name(const trm_store *store, int64_t label, int64_t *length)
{
    return trm_names_get(&store->labels.names, label, length);
}

/* ---- a piece of labels ---- */

static trm_status changed(const trm_reader *in)
{
    return trm_fail(in->err, TRM_ERR_DATA, "%s '%s': the file was changed while it was read", in->kind,
                    in->path);
}

static int compare_members(const void *a, const void *b)
{
    const trm_member *x = a, *y = b;
    return x->value < y->value ? -1 : x->value > y->value;
}

trm_status trm_labels_begin(const trm_reader *in, const trm_column *column, hid_t dataset)
{
    trm_label_column *labels = column->labels;
    if (labels == NULL || !column->element->named)
        return TRM_OK;
    hid_t type = H5Dget_type(dataset);
    const int members = H5Tget_nmembers(type);
    labels->member = trm_alloc_zero(members > 0 ? members : 0, sizeof *labels->member);
    trm_status status = TRM_OK;
    if (labels->member == NULL)
        status = trm_fail_memory(in->err, "names of labels", members, sizeof *labels->member);
    for (int i = 0; i < members && status == TRM_OK; i++) {
        trm_member *member = &labels->member[i];
        int64_t bits = 0;
        labels->members++;
        member->name = H5Tget_member_name(type, (unsigned)i);
        if (member->name == NULL || H5Tget_member_value(type, (unsigned)i, &bits) < 0) {
            status = trm_fail(in->err, TRM_ERR_DATA, "%s '%s': dataset '%s': its enum can't be read",
                              in->kind, in->path, column->name);
            break;
        }
        trm_element_order(column->element, &bits, 1);
        trm_element_to_int64(column->element, &bits, 1, &member->value);
        if (labels->names != NULL)
            member->number = trm_names_find(labels->names, member->name, (int64_t)strlen(member->name));
    }
    if (status == TRM_OK)
        qsort(labels->member, (size_t)labels->members, sizeof *labels->member, compare_members);
    trm_h5_close(type);
    return status;
}

trm_status trm_labels_end(const trm_reader *in, const trm_column *column, trm_status status)
{
    trm_label_column *labels = column->labels;
    if (labels == NULL)
        return status;
    for (int64_t i = 0; i < labels->members; i++) {
        const trm_member *member = &labels->member[i];
        if (member->used && status == TRM_OK)
            status =
                trm_names_add(&labels->scan->names, member->name, (int64_t)strlen(member->name), in->err);
        H5free_memory(member->name);
    }
    trm_free(labels->member);
    labels->member = NULL;
    labels->members = 0;
    return status;
}

static trm_status accept_texts(const trm_reader *in, const trm_column *col, const trm_arrival *piece)
{
    trm_label_column *labels = col->labels;
    trm_status status = TRM_OK;
    for (int64_t i = 0; i < piece->count && status == TRM_OK; i++) {
        int64_t length = 0;
        const char *text = trm_element_text(col->element, in->bounce, i, &length);
        if (labels->scan != NULL) {
            status = trm_names_add(&labels->scan->names, text, length, in->err);
            continue;
        }
        int64_t *number = &col->integers[piece->done + i];
        *number = trm_names_find(labels->names, text, length);
        if (*number < 0)
            status = changed(in);
    }
    return status;
}

static trm_status accept_enum(const trm_reader *in, const trm_column *col, int64_t item, int64_t count,
                              const int64_t *value, int64_t *number)
{
    trm_label_column *labels = col->labels;
    for (int64_t i = 0; i < count; i++) {
        const trm_member sought = {.value = value[i]};
        trm_member *member = bsearch(&sought, labels->member, (size_t)labels->members, sizeof *labels->member,
                                     compare_members);
        if (member == NULL)
            return trm_fail(in->err, TRM_ERR_DATA,
                            "%s '%s': dataset '%s' row %" PRId64 " has the value %" PRId64
                            ", for which its enum has no name",
                            in->kind, in->path, col->name, item + i, value[i]);
        member->used = labels->scan != NULL;
        if (number != NULL && (number[i] = member->number) < 0)
            return changed(in);
    }
    return TRM_OK;
}

static bool is_float(const trm_element *element)
{
    return element->class == TRM_ELEMENT_FLOAT || element->class == TRM_ELEMENT_BFLOAT;
}

/* Up to 2^53 a float64 is one whole number and no other. */
static trm_status whole_numbers(const trm_reader *in, const trm_column *col, int64_t first, int64_t item,
                                int64_t count, int64_t *value)
{
    char of[TRM_COLUMN_TEXT], text[TRM_NUMBER_TEXT];
    for (int64_t i = 0; i < count; i++) {
        const double x = trm_element_value(col->element, in->bounce, first + i);
        if (x >= -0x1p53 && x <= 0x1p53 && x == floor(x)) {
            value[i] = (int64_t)x;
            continue;
        }
        return trm_fail(in->err, TRM_ERR_DATA, "%s '%s': %srow %" PRId64 " has the value %s, %s", in->kind,
                        in->path, trm_column_text(col, of), item + i, trm_number_text(x, text),
                        isfinite(x) && x == floor(x) ? "beyond 2^53, where floats are not exact"
                                                     : "which is no whole number");
    }
    return TRM_OK;
}

static void note_range(trm_label_scan *scan, const trm_element *element, int64_t item, int64_t count,
                       const int64_t *value)
{
    const bool is_unsigned = element->class == TRM_ELEMENT_UNSIGNED;
    int64_t *first = is_unsigned ? &scan->first_large : &scan->first_negative;
    for (int64_t i = 0; i < count; i++)
        if (value[i] < 0 && scan->file_first + item + i < *first)
            *first = scan->file_first + item + i;
}

/* Labels of numbers, converted a few at a time: a scan has nowhere to keep them. */
static trm_status accept_numbers(const trm_reader *in, const trm_column *col, const trm_arrival *piece)
{
    enum { FEW = 512 };
    const trm_label_column *labels = col->labels;
    trm_status status = TRM_OK;
    trm_element_order(col->element, in->bounce, piece->count);
    for (int64_t from = 0; from < piece->count && status == TRM_OK; from += FEW) {
        const int64_t count = piece->count - from < FEW ? piece->count - from : FEW;
        const int64_t item = piece->item + from;
        int64_t few[FEW], *value = labels->scan == NULL ? col->integers + piece->done + from : few;
        if (is_float(col->element))
            status = whole_numbers(in, col, from, item, count, value);
        else
            trm_element_to_int64(col->element, (char *)in->bounce + from * col->element->size, count, value);
        if (status == TRM_OK && col->element->named)
            status = accept_enum(in, col, item, count, value, labels->scan == NULL ? value : NULL);
        else if (status == TRM_OK && labels->scan != NULL)
            note_range(labels->scan, col->element, item, count, value);
    }
    return status;
}

trm_status trm_labels_accept(const trm_reader *in, const trm_column *column, const trm_arrival *piece)
{
    const trm_element_class class = column->element->class;
    return class == TRM_ELEMENT_TEXT || class == TRM_ELEMENT_VARIABLE ? accept_texts(in, column, piece)
                                                                      : accept_numbers(in, column, piece);
}

/* ---- the look at all labels ---- */

static trm_status scan_files(trm_store *store, trm_reader *in, int64_t first, int64_t count,
                             trm_label_scan *scan)
{
    trm_status status = TRM_OK;
    for (int i = 0; i < store->files && status == TRM_OK; i++) {
        const trm_store_entry *entry = &store->entry[i];
        trm_label_column labels = {.scan = scan};
        const trm_column column = trm_store_label_column(store, entry, &labels);
        int64_t from = 0;
        const int64_t mine = trm_store_overlap(&entry->seen, first, count, &from);
        scan->file_first = entry->seen.first;
        in->kind = trm_file_kind(&entry->seen);
        status = trm_reader_read(in, entry->seen.path, 1, &column, from - entry->seen.first, mine);
    }
    return status;
}

static trm_status scan_rows(trm_store *store, trm_label_scan *scan, trm_error *err)
{
    int rank = 0, ranks = 0;
    int64_t first = 0, last = 0, bytes = 1;
    MPI_Comm_rank(store->comm, &rank);
    MPI_Comm_size(store->comm, &ranks);
    trm_share(store->rows, rank, ranks, &first, &last);
    for (int i = 0; i < store->files; i++) {
        const trm_column column = trm_store_label_column(store, &store->entry[i], NULL);
        const int64_t need = trm_column_bytes(&column, last - first);
        bytes = need > bytes ? need : bytes;
    }
    trm_reader in = {.comm = store->comm, .kind = "store", .err = err};
    trm_status status = trm_reader_begin(&in, bytes);
    if (status == TRM_OK)
        status = scan_files(store, &in, first, last - first, scan);
    trm_reader_end(&in);
    return status;
}

const trm_store_file *trm_file_of_row(const trm_store *store, int64_t row)
{
    int i = 0;
    while (i + 1 < trm_store_file_count(store) && trm_store_file_at(store, i + 1)->first <= row)
        i++;
    return trm_store_file_at(store, i);
}

/* "store 'FILE': dataset '/labels' row 3": where the label of a row of the store is. */
enum { LABEL_PLACE = 700 };
static const char *label_place(trm_store *store, int64_t row, char text[LABEL_PLACE])
{
    char of[TRM_COLUMN_TEXT];
    int i = 0;
    while (i + 1 < store->files && store->entry[i + 1].seen.first <= row)
        i++;
    const trm_store_entry *entry = &store->entry[i];
    const trm_column column = trm_store_label_column(store, entry, NULL);
    const bool outside = column.outside.path != NULL;
    snprintf(text, LABEL_PLACE, "%s '%s': %srow %" PRId64,
             outside ? column.outside.kind : trm_file_kind(&entry->seen),
             outside ? column.outside.path : entry->seen.path, trm_column_text(&column, of),
             column.outside.first + row - entry->seen.first);
    return text;
}

/* A negative number and a uint64 over INT64_MAX may have the same bits. */
static trm_status settle_numbers(trm_store *store, const trm_label_scan *scan, trm_error *err)
{
    int64_t first[2] = {scan->first_large, scan->first_negative};
    MPI_Allreduce(MPI_IN_PLACE, first, 2, MPI_INT64_T, MPI_MIN, store->comm);
    store->labels.kind = first[0] < INT64_MAX ? TRM_LABELS_UNSIGNED : TRM_LABELS_SIGNED;
    if (first[0] == INT64_MAX || first[1] == INT64_MAX)
        return TRM_OK;
    char large[LABEL_PLACE], negative[LABEL_PLACE];
    return trm_fail(err, TRM_ERR_DATA,
                    "%s has a label over 2^63 - 1, and %s a negative one: no 64-bit type holds both",
                    label_place(store, first[0], large), label_place(store, first[1], negative));
}

trm_status trm_labels_settle(trm_store *store, trm_error *err)
{
    bool has_large = false, has_signed = false, named = false;
    if (store->settled)
        return TRM_OK;
    for (int i = 0; i < store->files; i++) {
        const trm_element *element = &store->entry[i].labels;
        named = named || trm_element_names(element);
        has_large = has_large || (element->class == TRM_ELEMENT_UNSIGNED && element->size == 8);
        has_signed = has_signed || element->class != TRM_ELEMENT_UNSIGNED;
    }
    trm_label_scan scan = {.first_large = INT64_MAX, .first_negative = INT64_MAX};
    trm_status status = TRM_OK;
    if (named || (has_large && has_signed))
        status = scan_rows(store, &scan, err);
    if (status == TRM_OK && named) {
        store->labels.kind = TRM_LABELS_NAMED;
        status = trm_merge_names(store->comm, &scan.names, err);
    } else if (status == TRM_OK && has_signed)
        status = settle_numbers(store, &scan, err);
    else if (has_large)
        store->labels.kind = TRM_LABELS_UNSIGNED;
    if (status == TRM_OK) {
        store->labels.names = scan.names;
        store->settled = true;
    } else
        trm_names_free(&scan.names);
    return status;
}
