"""The tests of the checkout: each build brings the `shop` they judge."""

import unittest

import shop

BASKET = [("coffee", 2, 450), ("filter", 1, 300)]


class Totals(unittest.TestCase):
    def test_a_basket_adds_up(self):
        self.assertEqual(shop.net(BASKET), 1200, "the net total is wrong")

    def test_an_empty_basket_costs_nothing(self):
        self.assertEqual(shop.net([]), 0, "the net total is wrong")

    def test_a_quantity_of_none_is_refused(self):
        with self.assertRaises(ValueError):
            shop.net([("coffee", 0, 450)])

    def test_more_of_one_thing(self):
        self.assertEqual(shop.net([("coffee", 7, 450)]), 3150, "the net total is wrong")


class Vat(unittest.TestCase):
    def check(self, net, percent, due):
        self.assertEqual(shop.vat(net, percent), due, "VAT is rounded the wrong way")

    def test_nineteen_percent(self):
        self.check(1000, 19, 190)

    def test_half_a_cent_goes_up(self):
        self.check(250, 7, 18)

    def test_seven_percent_of_a_book(self):
        self.check(1450, 7, 102)

    def test_twenty_percent_of_a_small_thing(self):
        self.check(13, 20, 3)

    def test_nothing_to_tax(self):
        self.check(0, 19, 0)


class Payment(unittest.TestCase):
    def test_euros_are_taken(self):
        self.assertEqual(shop.charge(1190, "EUR"), "EUR 11.90")

    def test_dollars_are_taken(self):
        self.assertEqual(shop.charge(1190, "USD"), "USD 11.90")

    def test_pounds_are_taken(self):
        self.assertEqual(shop.charge(5, "GBP"), "GBP 0.05")

    def test_an_unknown_currency_is_refused(self):
        with self.assertRaises(ValueError):
            shop.charge(100, "XXX")

    def test_a_negative_amount_is_refused(self):
        with self.assertRaises(ValueError):
            shop.charge(-1, "EUR")


class Vouchers(unittest.TestCase):
    def test_ten_percent_off(self):
        self.assertEqual(shop.with_voucher(2000, "TEN"), 1800, "the voucher takes the wrong amount off")

    def test_no_voucher(self):
        self.assertEqual(shop.with_voucher(2000, ""), 2000, "the voucher takes the wrong amount off")

    def test_an_expired_voucher_takes_nothing_off(self):
        self.assertEqual(shop.with_voucher(2000, "SPRING"), 2000, "an expired voucher still counts")

    def test_never_below_nothing(self):
        self.assertGreaterEqual(shop.with_voucher(0, "TEN"), 0)


class Receipts(unittest.TestCase):
    def test_a_line_per_thing(self):
        self.assertEqual(len(shop.receipt(BASKET)), 2)

    def test_the_name_comes_first(self):
        self.assertTrue(shop.receipt(BASKET)[0].startswith("coffee"))
