#!/usr/bin/perl
# Writes src/identity/scriptTable.ts: which letters, marks and digits belong to which script.
#   perl packages/crypto/scripts/make-script-table.pl > packages/crypto/src/identity/scriptTable.ts
# Perl, because perl carries one fixed Unicode version that every supported browser already knows; JavaScript's
# own tables differ from engine to engine, and a name's normal form must not.
use strict;
use warnings;
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

print "// Written by scripts/make-script-table.pl from Unicode $version. Not to be edited by hand.\n\n";
print "/** Letters, marks and digits by script, as inclusive ranges of hexadecimal code points. */\n";
print "export const scriptTable = {\n";
for my $script (@scripts) {
    my %extra = map { $_ => 1 } @{ $also{$script} // [] };
    my @ranges;
    for my $code (0x30 .. 0x323af) {
        next if $code >= 0xd800 && $code <= 0xdfff;
        next if $code <= 0x39;    # ASCII digits belong to every script
        my $char = chr $code;
        next unless $extra{$code} || ($char =~ /\p{Script=$script}/ && $char =~ /[\p{L}\p{Mn}\p{Mc}\p{Nd}]/);
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
