#!/usr/bin/perl
# Writes src/identity/scriptTable.ts: which letters, marks and digits belong to which script.
#   perl packages/crypto/scripts/make-script-table.pl > packages/crypto/src/identity/scriptTable.ts
#   npx biome format --write packages/crypto/src/identity/scriptTable.ts
# Perl, because perl carries one fixed Unicode version that every supported browser already knows; JavaScript's
# own tables differ from engine to engine, and a name's normal form must not.
use strict;
use warnings;
use Unicode::Normalize;
use Unicode::UCD;

my $version = Unicode::UCD::UnicodeVersion();
die "this table is pinned to Unicode 14.0.0, this perl has $version\n" unless $version eq '14.0.0';

# The recommended scripts of UAX #31, table 5.
my @scripts = qw(
    Arabic Armenian Bengali Bopomofo Cyrillic Devanagari Ethiopic Georgian Greek Gujarati Gurmukhi Han Hangul
    Hebrew Hiragana Kannada Katakana Khmer Lao Latin Malayalam Myanmar Oriya Sinhala Tamil Telugu Thaana Thai
    Tibetan
);
# Script=Common, yet written in one script only: Arabic-Indic digits, and the Japanese prolonged sound mark.
my %also = (Arabic => [0x660 .. 0x669], Katakana => [0x30fc]);

# Latin letters of phonetic notation look like plain ones (U+0251, U+0261); those that African languages write with stay.
my $phonetic = qr/[\x{1c0}-\x{1c3}\x{250}-\x{252}\x{255}\x{258}\x{25a}\x{25c}-\x{262}\x{264}-\x{267}\x{26a}-\x{271}\x{273}-\x{288}\x{28a}\x{28c}-\x{2af}\x{1d00}-\x{1dbf}\x{2000}-\x{10ffff}]/;

# Whether a character may stand in a normal form. Invisible letters (the Hangul fillers) and deprecated ones may not.
sub may_stand {
    my ($char, $script) = @_;
    return 0 unless $char =~ /\p{Script=$script}/ && $char =~ /[\p{L}\p{Mn}\p{Mc}\p{Nd}]/ && NFKC($char) eq $char;
    return 0 if $char =~ /\p{Default_Ignorable_Code_Point}|\p{Deprecated}/;
    return 0 if $script eq 'Latin' && $char =~ $phonetic;
    return $script ne 'Hangul' || $char =~ /[\x{ac00}-\x{d7a3}]/;    # whole syllables only
}

print "// Written by scripts/make-script-table.pl from Unicode $version. Not to be edited by hand.\n\n";
print "/** Letters, marks and digits of normal forms by script, as inclusive ranges of hexadecimal code points. */\n";
print "export const scriptTable = {\n";
for my $script (@scripts) {
    my %extra = map { $_ => 1 } @{ $also{$script} // [] };
    my @ranges;
    for my $code (0x30 .. 0x323af) {
        next if $code >= 0xd800 && $code <= 0xdfff;
        next if $code <= 0x39;    # ASCII digits belong to every script
        my $char = chr $code;
        next unless $extra{$code} || may_stand($char, $script);
        if (@ranges && $ranges[-1][1] == $code - 1) { $ranges[-1][1] = $code }
        else { push @ranges, [ $code, $code ] }
    }
    my $text = join ' ', map { $_->[0] == $_->[1] ? sprintf('%x', $_->[0]) : sprintf('%x-%x', @$_) } @ranges;
    my @lines;
    while (length $text) {
        $text =~ s/^(.{1,96})(?: |$)// or die;
        push @lines, $1;
    }
    print "  $script: [\n", (map { "    \"$_\",\n" } @lines), "  ],\n";
}
print "} as const;\n";
